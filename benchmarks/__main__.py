"""Runs the benchmarks and writes a report: `python -m benchmarks [NAME…] [--quick]`.

The rows of a benchmark that is not run again stay in the report, with their time. Exit status 1
says that a target was missed.
"""

import argparse
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

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

REPORT = Path(__file__).parent / "report" / "report.md"

LENGTHS_S = (10, 120, 1200)

BENCHMARKS: dict[str, Callable[[bool], Iterable[Figure]]] = {
    "pipeline-cpu": lambda quick: pipeline_cpu.measure(20 if quick else 60, 1 if quick else 10),
    "pipeline-cpu-20min": lambda quick: pipeline_cpu.measure_long(
        240 if quick else 1200, 1 if quick else 10
    ),
    "first-segment": lambda quick: (
        figure
        for seconds in (LENGTHS_S[:2] if quick else LENGTHS_S)
        for figure in first_segment.measure(seconds, runs=3 if quick else 10)
    ),
    "first-segment-2h": lambda quick: first_segment.measure(7200, runs=3 if quick else 10),
    "second-upload": lambda quick: second_upload.measure(3 if quick else 10),
    "seek": lambda quick: seek.measure(3 if quick else 10),
    "seek-busy": lambda quick: seek.measure(3 if quick else 10, busy=True),
    "backlog": lambda quick: backlog.measure(3 if quick else 10),
    "two-encoders": lambda quick: two_encoders.measure(1 if quick else 10),
    "storage-memory": lambda quick: storage_memory.measure(2**30 if quick else 5 * 2**30),
    "delivery": delivery.measure,
    "upload": lambda quick: upload.measure(256 if quick else 2048, runs=2 if quick else 5),
    "upload-memory": lambda quick: upload.measure_memory(9 if quick else 24),
    "lanes": lambda quick: lanes.measure(runs=3 if quick else 10),
}


def main() -> None:
    """Run the chosen benchmarks, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--quick", action="store_true", help="shorter sources, fewer runs")
    options = parser.parse_args()
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    missed = False
    print(HEADER)
    for name in options.names or BENCHMARKS:
        began = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        runs = " --quick" if options.quick else ""
        text = f"## {name}{runs}\n\n{began}, {describe()}\n\n{HEADER}\n"
        for figure in BENCHMARKS[name](options.quick):
            print(figure.row(), flush=True)
            missed |= figure.holds is False
            text += figure.row() + "\n"
            (REPORT.parent / f"{name}.md").write_text(text)
        write_report()
    sys.exit(missed)


def write_report() -> None:
    """Join what the benchmarks have written into one report."""
    parts = [REPORT.parent / f"{name}.md" for name in BENCHMARKS]
    texts = [part.read_text() for part in parts if part.exists()]
    REPORT.write_text("\n".join(["# Benchmarks\n", *texts]))


if __name__ == "__main__":
    main()
