"""How far to run ahead of viewers: `python -m benchmarks.simulation.ahead`, for decision 7.

Prints how many of a day's viewers see their film stop after it began, by how many segments are made
ahead of each who comes to where nothing is; uploads, viewers and failures are the same in a row.
"""

from benchmarks.simulation.grid import SEEDS, days_of
from benchmarks.simulation.instant import Instant
from benchmarks.simulation.measures import Waits
from benchmarks.simulation.service_times import ServiceTimes, load

FLEETS = (1, 3, 10)
LOAD = 0.8
AHEAD = (0, 1, 2, 4, 8)


def stalls(times: ServiceTimes, encoders: int, ahead: int) -> Waits:
    """Return what happened on all days of all seeds."""
    return Waits.together(
        Instant(times, encoders, videos, seed + day, ahead=ahead).run()
        for seed in SEEDS
        for day, videos in enumerate(days_of(times, encoders, LOAD, seed))
    )


def main() -> None:
    """Print a table."""
    times = load()
    heads = [f"{4 * ahead} s ahead" if ahead else "nothing ahead" for ahead in AHEAD]
    print("| encoders | viewers | " + " | ".join(heads) + " |")
    print("|" + "---|" * (2 + len(AHEAD)))
    for encoders in FLEETS:
        days = [stalls(times, encoders, ahead) for ahead in AHEAD]
        cells = [encoders, days[0].seeks, *(waits.stalls for waits in days)]
        print("| " + " | ".join(f"{cell:,}" for cell in cells) + " |", flush=True)


if __name__ == "__main__":
    main()
