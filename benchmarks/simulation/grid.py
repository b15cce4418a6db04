"""The cells that are simulated: numbers of encoders, loads and policies; and their figures."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from math import isnan
from typing import Any

from benchmarks.simulation.instant import Instant
from benchmarks.simulation.measures import Waits, quantile
from benchmarks.simulation.service_times import ServiceTimes
from benchmarks.simulation.whole_files import WholeFiles, offered
from benchmarks.simulation.workload import DAY_S, Video, a_day

ENCODERS = (1, 3, 10, 30, 100, 300, 1000)
UTILISATIONS = (0.5, 0.8, 0.95)
ENCODER_DAYS = 30
"""Small numbers of encoders are simulated for more days, so that their figures say something."""

SEEDS = (1, 2, 3)
FEW = 100
"""Up to so many encoders all seeds are simulated; beyond, where a day takes minutes, the first."""

SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
DISTRIBUTIONS = ("first_frame", "first_frame_single", "ready", "queue", "first_work", "seek")

Policy = Callable[[ServiceTimes, int, Sequence[Video], int], Waits]

POLICIES: dict[str, Policy] = {
    "reelay": lambda times, n, videos, seed: Instant(times, n, videos, seed).run(),
    "whole files": lambda times, n, videos, seed: WholeFiles(times, n, videos).run(),
    "lowest rung first": lambda times, n, videos, seed: WholeFiles(
        times, n, videos, lowest_first=True
    ).run(),
}


def seeds(encoders: int) -> tuple[int, ...]:
    """Return the seeds with which so many encoders are simulated."""
    return SEEDS if encoders <= FEW else SEEDS[:1]


def days_of(
    times: ServiceTimes, encoders: int, utilisation: float, seed: int
) -> list[Sequence[Video]]:
    """Return the uploads of as many days as so many encoders are simulated for."""
    days = range(max(1, round(ENCODER_DAYS / encoders)))
    return [a_day(times, encoders, utilisation, seed * 1000 + day) for day in days]


def simulate(times: ServiceTimes, encoders: int, utilisation: float, seed: int) -> dict[str, Any]:
    """Return the figures of all policies for the same uploads."""
    uploads = days_of(times, encoders, utilisation, seed)
    cell: dict[str, Any] = {
        "offered": round(
            sum(offered(times, encoders, videos, DAY_S) for videos in uploads) / len(uploads), 3
        ),
        "videos": sum(map(len, uploads)),
    }
    for name, policy in POLICIES.items():
        waits = Waits.together(
            policy(times, encoders, videos, seed + day) for day, videos in enumerate(uploads)
        )
        cell[name] = figures(waits)
    return cell


def figures(waits: Waits) -> dict[str, Any]:
    """Return the quantiles of every distribution, in seconds, and the counts."""
    answer: dict[str, Any] = {
        name: {
            share: None if isnan(value := quantile(values, part)) else float(f"{value:.4g}")
            for share, part in SHARES.items()
        }
        for name in DISTRIBUTIONS
        for values in [getattr(waits, name)]
    }
    fair = waits.fairness
    answer["fairness"] = round(sum(fair) / len(fair), 3) if fair else None
    answer["fairness_slices"] = len(fair)
    answer |= {"seeks": waits.seeks, "missed": len(waits.seek), "stalls": waits.stalls}
    answer["lock_share"] = round(waits.lock_share, 4)
    answer |= {"killed": waits.killed, "chunks": len(waits.queue), "hourly": _hourly(waits)}
    return answer


def _hourly(waits: Waits) -> list[float | None]:
    """Return the median time to first frame by the hour in which the upload ended."""
    hours: dict[int, list[float]] = defaultdict(list)
    for at, wait in zip(waits.first_frame_at, waits.first_frame, strict=True):
        hours[int(at // 3600)].append(wait)
    return [
        float(f"{quantile(hours[hour], 0.5):.4g}") if hours[hour] else None for hour in range(24)
    ]
