"""Simulates the grid and writes what docs/scaling.md shows: `python -m benchmarks.simulation`."""

import argparse
import gc
import json
import time
from pathlib import Path

from benchmarks.simulation import report
from benchmarks.simulation.grid import ENCODERS, UTILISATIONS, simulate
from benchmarks.simulation.service_times import load

RESULTS = Path(__file__).parent / "results.json"


def main() -> None:
    """Simulate the chosen cells of the grid, or all; with --report only write what is known."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulation", description=__doc__)
    parser.add_argument("--encoders", nargs="*", type=int, default=ENCODERS)
    parser.add_argument("--utilisation", nargs="*", type=float, default=UTILISATIONS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", action="store_true", help="simulate nothing")
    options = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    times = load()
    gc.set_threshold(200_000)  # nearly all that is made lives until the day's end
    for encoders in [] if options.report else options.encoders:
        for utilisation in options.utilisation:
            began = time.monotonic()
            results[f"{encoders} {utilisation}"] = simulate(
                times, encoders, utilisation, options.seed
            )
            print(
                f"{encoders} encoders, {utilisation}: {time.monotonic() - began:.0f} s", flush=True
            )
            RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    report.write(results, times)


if __name__ == "__main__":
    main()
