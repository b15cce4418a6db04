"""Figures: quantiles, Jain's index, who waited when."""

from dataclasses import replace

import pytest

from benchmarks.simulation.instant import Instant
from benchmarks.simulation.measures import SLICE_S, Ledger, jain, quantile
from benchmarks.simulation.whole_files import WholeFiles
from tests.simulation.days import SOURCE, TIMES, video


def test_quantile_is_a_value_that_was_seen() -> None:
    assert quantile([3.0, 1.0, 2.0, 4.0], 0.5) == 2.0
    assert quantile([3.0, 1.0, 2.0, 4.0], 0.99) == 4.0


def test_jains_index_is_one_for_equals_and_a_share_for_one_who_has_all() -> None:
    assert jain([2.0, 2.0, 2.0]) == 1.0
    assert jain([6.0, 0.0, 0.0]) == pytest.approx(1 / 3)


def test_only_owners_who_waited_throughout_are_compared() -> None:
    ledger = Ledger()
    for owner in (1, 2, 3):
        ledger.note_waiting(owner, True, 0.0)
    ledger.note_served(1, 0.0, SLICE_S)
    ledger.note_served(2, SLICE_S / 2, SLICE_S * 3 / 2)
    ledger.note_waiting(3, False, SLICE_S / 2)
    ledger.note_waiting(2, False, SLICE_S * 1.5)
    ledger.note_waiting(1, False, SLICE_S * 1.5)
    assert ledger.indices() == [jain([SLICE_S, SLICE_S / 2])]


def test_whole_files_make_a_clip_wait_for_every_film_before_it() -> None:
    films = [video(n, owner=1, segments=1502) for n in range(10)]
    clip = video(10, owner=2, at=60.0, segments=9)
    waits = WholeFiles(TIMES, 1, [*films, clip]).run()
    film_s = SOURCE.fixed_s + 6000 * SOURCE.ladder_rate
    assert waits.queue[-1] == pytest.approx(10 * film_s - 60)


def test_lowest_rung_first_plays_sooner_and_ends_later() -> None:
    film = [video(0, segments=1502)]
    whole = WholeFiles(TIMES, 1, film).run()
    lowest = WholeFiles(TIMES, 1, film, lowest_first=True).run()
    assert lowest.first_frame[0] < whole.first_frame[0] / 5
    assert whole.ready[0] < lowest.ready[0]


def test_uploads_of_one_instant_are_made_that_comes_late_by_rounding() -> None:
    assert 1.681 + (11.496 - 1.681) > 11.496
    times = replace(TIMES, plan_s=0.0)
    videos = [video(n, at=at, segments=3) for n, at in enumerate((1.681, 11.496, 11.496))]
    assert len(WholeFiles(times, 1, videos).run().ready) == 3
    assert len(Instant(times, 1, videos, seed=7).run().ready) == 3
