"""Runs the benchmarks and writes a report: `python -m benchmarks [NAME…] [--quick] [--resume]`.

The rows of a benchmark that is not run again stay in the report, with their time and commit; those
with `--quick` have a report of their own. Those of `SLOW` take hours: each of their runs is kept,
and `--resume` makes only those that are missing. Those of `NAMED` repeat a target with another
film and run only if named. Exit status 1 says that a target was missed.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import httpx

from benchmarks import (
    backlog,
    delivery,
    first_segment,
    lanes,
    pipeline_cpu,
    second_upload,
    seek,
    storage_memory,
    two_encoders,
    upload,
)
from benchmarks.machine import HEADER, Figure, describe
from benchmarks.runs import FOLDER as RUNS
from benchmarks.runs import Runs, measured_commit

REPORT = Path(__file__).parent / "report"
QUICK = REPORT / "quick"

LENGTHS_S = (10, 120, 1200)

FAST: dict[str, Callable[[bool], Iterable[Figure]]] = {
    "first-segment": lambda quick: (
        figure
        for seconds in (LENGTHS_S[:2] if quick else LENGTHS_S)
        for figure in first_segment.measure(seconds, runs=3 if quick else 10)
    ),
    "first-segment-2h": lambda quick: first_segment.measure(7200, runs=3 if quick else 10),
    "second-upload": lambda quick: second_upload.measure(3 if quick else 10),
    "seek": lambda quick: seek.measure(3 if quick else 10),
    "seek-busy": lambda quick: seek.measure_busy(3 if quick else 10),
    "backlog": lambda quick: backlog.measure(3 if quick else 10),
    "storage-memory": lambda quick: storage_memory.measure(2**30 if quick else 5 * 2**30),
    "delivery": delivery.measure,
    "upload": lambda quick: upload.measure(256 if quick else 2048, runs=2 if quick else 5),
    "upload-memory": lambda quick: upload.measure_memory(9 if quick else 24),
    "lanes": lambda quick: lanes.measure(runs=3 if quick else 10),
}
SLOW: dict[str, Callable[[bool, Runs], Iterable[Figure]]] = {
    "pipeline-cpu": lambda quick, runs: pipeline_cpu.measure(runs, 20 if quick else 60),
    "two-encoders": lambda _, runs: two_encoders.measure(runs),
    "pipeline-cpu-20min": lambda quick, runs: pipeline_cpu.measure_long(
        runs, 240 if quick else 1200
    ),
    "pipeline-cpu-everyday": lambda quick, runs: pipeline_cpu.measure_everyday(
        runs, 240 if quick else 1200
    ),
}
NAMES = (*FAST, *SLOW)
NAMED = ("pipeline-cpu-everyday",)
"""Ten of its pairs take six hours."""

BROKEN = (RuntimeError, OSError, httpx.HTTPError, subprocess.SubprocessError)
"""What a system or a program that breaks makes a benchmark raise; waits end in TimeoutError."""


def main() -> None:
    """Run the chosen benchmarks, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--quick", action="store_true", help="shorter sources, fewer runs")
    parser.add_argument("--resume", action="store_true", help=f"keep runs of {', '.join(SLOW)}")
    options = parser.parse_args()
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    QUICK.mkdir(parents=True, exist_ok=True)
    print(HEADER)
    names = options.names or [name for name in NAMES if name not in NAMED]
    held = [try_to_measure(name, options) for name in names]
    sys.exit(not all(held))


def try_to_measure(name: str, options: argparse.Namespace) -> bool:
    """Return whether a benchmark's targets held; one that measures something else ends alone."""
    try:
        return measure(name, options.quick, options.resume)
    except BROKEN as error:
        print(f"{name}: {error!r}", file=sys.stderr)
        return False


def measure(name: str, quick: bool, resume: bool) -> bool:
    """Print one benchmark's rows and write them to the report; return whether targets held."""
    report = QUICK if quick else REPORT
    text = f"## {name}{' --quick' if quick else ''}\n\n"
    held = True
    runs = None
    if name in SLOW:
        folder = QUICK if quick else RUNS
        runs = Runs(folder / f"{name}.jsonl", 1 if quick else 10, resume=resume)
        figures = SLOW[name](quick, runs)
    else:
        began = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        text += f"{began}, {describe()}, commit {measured_commit()}\n\n"
        figures = FAST[name](quick)
    text += f"{HEADER}\n"
    for figure in figures:
        print(figure.row(), flush=True)
        held &= figure.holds is not False
        text += figure.row() + "\n"
        made = f"\n{runs.describe()}" if runs else ""
        write_section(report / "report.md", name, text + made)
    return held


def write_section(report: Path, name: str, text: str) -> None:
    """Put a benchmark's section into the report; those of the others stay."""
    written = report.read_text().split("\n## ")[1:] if report.exists() else []
    sections = {part.split()[0]: f"## {part.rstrip()}\n" for part in written} | {name: text}
    parts = [sections[each].rstrip() for each in NAMES if each in sections]
    report.write_text("\n\n".join(["# Benchmarks", *parts]) + "\n")


if __name__ == "__main__":
    main()
