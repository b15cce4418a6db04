"""Small days to simulate, with round service times."""

from collections.abc import Sequence

from benchmarks.simulation.instant import Instant
from benchmarks.simulation.package import Package
from benchmarks.simulation.service_times import ServiceTimes, SourceTimes
from benchmarks.simulation.workload import Video, Viewer
from reelay.packager.domain.ladder_chunks import MOST_S

SOURCE = SourceTimes(
    first_segment_s=0.5,
    opening_s=2.0,
    fixed_s=1.0,
    decode_rate=0.2,
    lowest_rate=0.3,
    ladder_rate=2.0,
    ondemand_s=2.2,
)
TIMES = ServiceTimes(
    machine="imagined",
    encoder_threads=2,
    plan_s=0.25,
    hops_s=0.05,
    packaging_call_s=0.084,
    packaging_segment_s=0.001,
    dispatch_base_s=0.01,
    dispatch_package_s=0.0001,
    dispatch_measured="imagined",
    sources=dict.fromkeys((480, 720, 1080, 1440, 2160), SOURCE),
)
LADDER_CHUNK_S = 1.0 + MOST_S * 2.0
"""The longest of a 1080p film."""
CALL_S = 0.1


def video(
    number: int,
    owner: int = 0,
    *,
    at: float = 0.0,
    segments: int = 60,
    height: int = 1080,
    viewers: Sequence[Viewer] = (),
) -> Video:
    """Return a video of average pictures."""
    return Video(number, owner, at, height, segments, 1.0, viewers=tuple(viewers))


def day(
    videos: Sequence[Video], encoders: int = 1, *, mean_between_failures_s: float | None = None
) -> Instant:
    """Return a day that is ready to run; encoders never fail unless told to."""
    return Instant(TIMES, encoders, videos, seed=7, mean_between_failures_s=mean_between_failures_s)


def package_of(simulated: Instant, number: int) -> Package:
    """Return the package of a video."""
    return next(p for p in simulated.packages if p.video.number == number)
