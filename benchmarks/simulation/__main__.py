"""Simulates the grid and writes what docs/scaling.md shows: `python -m benchmarks.simulation`."""

import argparse
import gc
import itertools
import json
import time
from pathlib import Path

from benchmarks.simulation import report
from benchmarks.simulation.grid import ENCODERS, UTILISATIONS, seeds, simulate
from benchmarks.simulation.service_times import load

RESULTS = Path(__file__).parent / "results.json"


def main() -> None:
    """Simulate the chosen cells of the grid, or all; with --report only write what is known."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulation", description=__doc__)
    parser.add_argument("--encoders", nargs="*", type=int, default=ENCODERS)
    parser.add_argument("--utilisation", nargs="*", type=float, default=UTILISATIONS)
    parser.add_argument("--seeds", nargs="*", type=int, help="instead of the grid's own")
    parser.add_argument("--fresh", action="store_true", help="forget what was simulated before")
    parser.add_argument("--report", action="store_true", help="simulate nothing")
    options = parser.parse_args()
    cells = itertools.product(options.encoders, options.utilisation)
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() and not options.fresh else {}
    times = load()
    gc.set_threshold(200_000)  # nearly all that is made lives until the day's end
    for encoders, utilisation in [] if options.report else cells:
        for seed in options.seeds or seeds(encoders):
            began = time.process_time()
            cell = results.setdefault(f"{encoders} {utilisation}", {})
            cell[str(seed)] = simulate(times, encoders, utilisation, seed)
            took_s = time.process_time() - began
            print(f"{encoders} encoders, {utilisation}, seed {seed}: {took_s:.0f} s", flush=True)
            RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    report.write(results, times)


if __name__ == "__main__":
    main()
