"""Runs the benchmarks and writes a report: `python -m benchmarks [NAME…] [--quick]`."""

import argparse
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import first_segment, pipeline_cpu
from benchmarks.machine import HEADER, Figure, describe

REPORT = Path(__file__).parent / "report" / "report.md"

BENCHMARKS: dict[str, Callable[[bool], list[Figure]]] = {
    "pipeline-cpu": lambda quick: pipeline_cpu.measure(20 if quick else 60),
    "first-segment": lambda quick: first_segment.measure(runs=3 if quick else 10),
}


def main() -> None:
    """Run the chosen benchmarks, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--quick", action="store_true", help="shorter sources, fewer runs")
    options = parser.parse_args()
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    lines = [
        "# Benchmarks",
        "",
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {describe()}",
        "",
        HEADER,
    ]
    print("\n".join(lines))
    for name in options.names or BENCHMARKS:
        for figure in BENCHMARKS[name](options.quick):
            lines.append(figure.row())
            print(figure.row(), flush=True)
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
