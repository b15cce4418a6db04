"""A day of uploads: when they come, whose they are, how long, how large, and where viewers look."""

import random
from dataclasses import dataclass
from functools import lru_cache
from math import cos, log, pi

from benchmarks.simulation.service_times import ServiceTimes

DAY_S = 86_400.0
SWING = 0.4
"""The busiest hour has 1.4 times the day's mean, the quietest 0.6 times."""
BUSIEST_S = 20 * 3600.0

SIZES = {480: 0.10, 720: 0.25, 1080: 0.50, 1440: 0.05, 2160: 0.10}
"""Short side of the source → share of the uploads."""

MEDIAN_S, SIGMA = 240.0, 1.2
FILM_SHARE, FILM_FROM_S, FILM_TAIL = 0.03, 2400.0, 1.5
SHORTEST_S, LONGEST_S = 4.0, 36_000.0
"""Log-normal lengths around 4 minutes, and 3 % Pareto ones from 40 minutes up to 10 hours."""

BULK_FILMS, BULK_MEDIAN_S, BULK_SIGMA = 100, 600.0, 0.5
CONTENT_SIGMA = 0.3
"""Some pictures are harder than others: a log-normal factor of mean 1 on every video's work."""

VIEWED_SHARE, MOST_VIEWERS, VIEWER_MEAN_S, WATCHED_SEGMENTS = 0.3, 3, 300.0, 8


@dataclass(frozen=True, slots=True)
class Viewer:
    """Looks at a video `after_s` after it became playable, from a random position on."""

    after_s: float
    position: float
    segments: int


@dataclass(frozen=True, slots=True)
class Video:
    """One upload; `arrival_s` is its last byte, `content` the factor on its work."""

    number: int
    owner: int
    arrival_s: float
    height: int
    segments: int
    content: float
    bulk: bool = False
    """One of many that came at once."""
    viewers: tuple[Viewer, ...] = ()

    @property
    def duration_s(self) -> float:
        """Length: the ramp of 4 s, then segments of 4 s."""
        return 4.0 * (self.segments - 2) if self.segments > 3 else float(self.segments)


def intensity(time_s: float) -> float:
    """Return how busy a time of day is; the day's mean is 1."""
    return 1 + SWING * cos(2 * pi * (time_s - BUSIEST_S) / DAY_S)


def a_day(
    times: ServiceTimes, encoders: int, utilisation: float, seed: int, day_s: float = DAY_S
) -> list[Video]:
    """Return a day's uploads, ordered by time.

    `utilisation` is the expected work of the day ÷ what all encoders can do in it. Some of it is
    owners who upload many films at once; the rest is a Poisson process with a day curve.
    """
    chance = random.Random(f"{seed} {encoders} {utilisation}")
    work_s = utilisation * encoders * day_s
    batches, films = max(1, encoders // 20), min(BULK_FILMS, 10 * encoders)
    singles = (work_s - batches * films * mean_work_s(times, bulk=True)) / mean_work_s(times)
    arrivals: list[tuple[float, int, bool]] = []
    owners = max(2, round(singles / 3))
    for batch in range(batches):
        at = _time_of_day(chance, day_s)
        arrivals += [(at, owners + batch, True)] * films
    at = 0.0
    peak = max(0.0, singles) * (1 + SWING) / day_s
    while peak and (at := at + chance.expovariate(peak)) < day_s:
        if chance.random() * (1 + SWING) < intensity(at * DAY_S / day_s):
            arrivals.append((at, chance.randrange(owners), False))
    arrivals.sort(key=lambda arrival: arrival[0])
    return [
        _video(chance, number, owner, at, bulk=bulk)
        for number, (at, owner, bulk) in enumerate(arrivals)
    ]


def _time_of_day(chance: random.Random, day_s: float) -> float:
    while True:
        at = chance.random() * day_s
        if chance.random() * (1 + SWING) < intensity(at * DAY_S / day_s):
            return at


def _video(chance: random.Random, number: int, owner: int, at: float, *, bulk: bool) -> Video:
    length_s = _bulk_length_s(chance) if bulk else _length_s(chance)
    height = chance.choices(list(SIZES), list(SIZES.values()))[0]
    content = chance.lognormvariate(-(CONTENT_SIGMA**2) / 2, CONTENT_SIGMA)
    viewers: tuple[Viewer, ...] = ()
    if chance.random() < VIEWED_SHARE:
        viewers = tuple(
            Viewer(chance.expovariate(1 / VIEWER_MEAN_S), chance.random(), WATCHED_SEGMENTS)
            for _ in range(chance.randint(1, MOST_VIEWERS))
        )
    return Video(number, owner, at, height, _segments(length_s), content, bulk, viewers)


def _length_s(chance: random.Random) -> float:
    if chance.random() < FILM_SHARE:
        return min(LONGEST_S, FILM_FROM_S * chance.paretovariate(FILM_TAIL))
    return min(LONGEST_S, max(SHORTEST_S, chance.lognormvariate(log(MEDIAN_S), SIGMA)))


def _bulk_length_s(chance: random.Random) -> float:
    return min(LONGEST_S, max(SHORTEST_S, chance.lognormvariate(log(BULK_MEDIAN_S), BULK_SIGMA)))


def _segments(length_s: float) -> int:
    """Return the number of segments of a length, rounded to whole ones (1, 1, 2, 4, 4 … s)."""
    return max(3, 2 + round(length_s / 4))


@lru_cache
def mean_length_s(*, bulk: bool) -> float:
    """Return the mean length, from a large sample of its own seed."""
    chance = random.Random(0)
    draw = _bulk_length_s if bulk else _length_s
    return sum(draw(chance) for _ in range(200_000)) / 200_000


def mean_work_s(times: ServiceTimes, *, bulk: bool = False) -> float:
    """Return the mean encoder seconds of a video's whole ladder, made in one go."""
    length_s = mean_length_s(bulk=bulk)
    return sum(share * times.file_s(height, length_s) for height, share in SIZES.items())
