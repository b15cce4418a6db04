"""The day of uploads: as much as was asked for, with its curve, the same for the same seed."""

from itertools import pairwise

import pytest

from benchmarks.simulation.whole_files import offered
from benchmarks.simulation.workload import DAY_S, a_day, intensity
from tests.simulation.days import TIMES


def test_equal_seeds_give_equal_uploads() -> None:
    assert a_day(TIMES, 5, 0.8, 3) == a_day(TIMES, 5, 0.8, 3)
    assert a_day(TIMES, 5, 0.8, 3) != a_day(TIMES, 5, 0.8, 4)


def test_uploads_come_in_order_within_the_day() -> None:
    videos = a_day(TIMES, 30, 0.8, 1)
    assert all(one.arrival_s <= other.arrival_s for one, other in pairwise(videos))
    assert 0 < videos[0].arrival_s < videos[-1].arrival_s < DAY_S


def test_work_is_what_was_asked_for() -> None:
    videos = a_day(TIMES, 1000, 0.8, 1)
    assert offered(TIMES, 1000, videos, DAY_S) == pytest.approx(0.8, rel=0.05)


def test_evening_is_busier_than_morning() -> None:
    singles = [v.arrival_s for v in a_day(TIMES, 1000, 0.8, 1) if not v.bulk]

    def between(begin: int, end: int) -> int:
        return sum(begin * 3600 <= at < end * 3600 for at in singles)

    share = between(18, 22) / between(6, 10)
    assert share == pytest.approx(intensity(20 * 3600) / intensity(8 * 3600), rel=0.1)


def test_some_owners_bring_a_hundred_films_at_once() -> None:
    bulk = [v for v in a_day(TIMES, 100, 0.8, 1) if v.bulk]
    assert len(bulk) == 500
    assert len({v.owner for v in bulk}) == len({v.arrival_s for v in bulk}) == 5


def test_lengths_have_a_heavy_tail() -> None:
    lengths = sorted(v.duration_s for v in a_day(TIMES, 1000, 0.8, 1) if not v.bulk)
    assert 200 < lengths[len(lengths) // 2] < 300
    assert lengths[-1] > 5 * 3600
    assert lengths[0] < 30
