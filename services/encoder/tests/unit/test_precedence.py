"""Who rests, and for how long at the most."""

import random
from collections import Counter
from collections.abc import Iterator
from itertools import repeat

import pytest

from reelay.encoder.domain.precedence import (
    LOWER_SHARE,
    OPENING_SHARE,
    Precedence,
    Rank,
    rests,
)

ONDEMAND, OPENING, OPENED, AHEAD, LADDER = Rank
STEP_S = 0.01
CHUNKS_OF_2_S = [*repeat((2.0, 0.03), 1000)]
"""What a viewer asks for who always has something missing: lengths of work and of the gap after."""

Pieces = list[tuple[float, float]]


def working(*lanes: Rank, longest_rest_s: float = 10.0) -> Precedence:
    precedence = Precedence(rests(longest_rest_s))
    for lane in lanes:
        precedence.enter(lane, 0.0)
    return precedence


def stream(precedence: Precedence, lane: Rank, pieces: Pieces) -> Iterator[float]:
    """Let a lane have pieces of work, each followed by a gap; yield each moment up to their end."""
    now_s = end_s = 0.0
    for work_s, gap_s in pieces:
        precedence.enter(lane, now_s)
        end_s += work_s
        while (now_s := now_s + STEP_S) < end_s:
            yield now_s
        precedence.leave(lane, now_s)
        end_s += gap_s
        while now_s < end_s:
            yield now_s
            now_s += STEP_S


def random_pieces(seed: int, until_s: float, shortest_s: float) -> Pieces:
    chance = random.Random(seed)
    pieces: Pieces = []
    while sum(map(sum, pieces)) < until_s:
        pieces.append((chance.uniform(shortest_s, 30.0), chance.uniform(0.0, 0.05)))
    return pieces


def shares(precedence: Precedence, pieces: Pieces, until_s: float = 500.0) -> dict[Rank, float]:
    """Return how much of the time each lane runs beside on-demand work that comes in pieces."""
    running: Counter[Rank] = Counter()
    for now_s in stream(precedence, ONDEMAND, pieces):
        precedence.advance(now_s)
        running.update(set(Rank) - precedence.resting())
        if now_s >= until_s:
            break
    return {lane: running[lane] * STEP_S / now_s for lane in Rank}


@pytest.mark.parametrize(
    ("lanes", "resting"),
    [
        ([], set()),
        ([LADDER], set()),
        ([LADDER, LADDER], set()),
        ([OPENING, LADDER], {LADDER}),
        ([LADDER, ONDEMAND], {LADDER}),
        ([LADDER, OPENING, ONDEMAND], {LADDER, OPENING}),
    ],
)
def test_every_lane_below_the_highest_with_work_rests(lanes, resting):
    assert working(*lanes).resting() == resting


def test_lower_lane_goes_on_when_the_last_higher_work_ends():
    precedence = working(OPENING, OPENING, LADDER)
    precedence.leave(OPENING, 1.0)
    assert precedence.resting() == {LADDER}
    precedence.leave(OPENING, 2.0)
    assert precedence.resting() == set()
    assert precedence.change_s() is None


def test_longest_rest_of_the_ladder_is_followed_by_a_turn_of_a_quarter_of_it():
    precedence = working(OPENING, LADDER)
    assert precedence.change_s() == 10
    precedence.advance(9.9)
    assert precedence.resting() == {LADDER}
    precedence.advance(10.0)
    assert precedence.resting() == set()
    assert precedence.change_s() == pytest.approx(2.5)
    precedence.advance(12.4)
    assert precedence.resting() == set()
    precedence.advance(12.5)
    assert precedence.resting() == {LADDER}


def test_opening_rests_for_a_second_and_then_has_a_turn_as_long():
    precedence = working(ONDEMAND, OPENING)
    assert precedence.change_s() == 1
    precedence.advance(0.9)
    assert precedence.resting() == {OPENING}
    precedence.advance(1.0)
    assert precedence.resting() == set()
    assert precedence.change_s() == pytest.approx(1.0)
    precedence.advance(1.9)
    assert precedence.resting() == set()
    precedence.advance(2.0)
    assert precedence.resting() == {OPENING}


def test_what_follows_an_openings_first_segments_rests_for_two_seconds():
    precedence = working(ONDEMAND, OPENED)
    assert precedence.change_s() == 2
    precedence.advance(2.0)
    assert precedence.resting() == set()
    assert precedence.change_s() == pytest.approx(2.0)


@pytest.mark.parametrize("phase_s", [0.0, 0.5, 1.0, 1.5, 1.95])
@pytest.mark.parametrize(("work_s", "longest_s"), [(0.6, 4.0), (1.5, 8.0), (3.0, 15.0)])
def test_opening_ends_soon_beside_endless_on_demand_work(work_s, longest_s, phase_s):
    precedence = working()
    begun_s: float | None = None
    before_s = 0.0
    for now_s in stream(precedence, ONDEMAND, CHUNKS_OF_2_S):
        precedence.advance(now_s)
        if begun_s is None and now_s >= phase_s:
            precedence.enter(OPENING, now_s)
            begun_s = now_s
        elif begun_s is not None and OPENING not in precedence.resting():
            work_s -= (now_s - before_s) / 2  # two that run share the processors
        before_s = now_s
        if work_s <= 0:
            break
    assert begun_s is not None
    assert work_s <= 0
    assert now_s - begun_s < longest_s


@pytest.mark.parametrize("lower", [[OPENING], [LADDER], [OPENING, LADDER]])
@pytest.mark.parametrize("length_s", [0.3, 0.8, 0.99])
def test_chunk_for_a_viewer_alone_is_never_disturbed(lower, length_s):
    precedence = working(*lower)
    precedence.advance(5.0)  # an opening or run-ahead is in the midst of its work
    precedence.enter(ONDEMAND, 5.0)
    assert precedence.resting() == set(lower)
    precedence.advance(5.0 + length_s)
    assert precedence.resting() == set(lower)
    precedence.leave(ONDEMAND, 5.0 + length_s)
    assert ONDEMAND not in precedence.resting()


def test_seeks_one_after_another_are_not_disturbed_by_what_runs_ahead_of_the_first():
    precedence = working(AHEAD, LADDER)
    ran = 0
    for now_s in stream(precedence, ONDEMAND, [(0.8, 0.05)] * 10):
        precedence.advance(now_s)
        ran += AHEAD not in precedence.resting()
    assert ran * STEP_S < 1.1 * 10 * 0.05, "it ran in the gaps alone"


def test_opening_that_comes_late_rests_from_then_on():
    precedence = working(ONDEMAND)
    precedence.enter(OPENING, 30.0)
    assert precedence.resting() == {OPENING}
    assert precedence.change_s() == 1


def test_rests_with_short_gaps_add_up():
    precedence = working(LADDER)
    for number in range(10):
        precedence.enter(OPENING, number * 2.0)
        precedence.leave(OPENING, number * 2.0 + 1.9)
    precedence.enter(OPENING, 20.0)
    assert precedence.resting() == {LADDER} or precedence.change_s() < 2.5
    assert precedence.change_s() < 10


def test_long_gap_makes_good_for_a_rest():
    precedence = working(OPENING, LADDER)
    precedence.leave(OPENING, 8.0)
    precedence.enter(OPENING, 10.0)
    assert precedence.change_s() == 10


def test_without_a_longest_rest_nobody_rests():
    precedence = working(ONDEMAND, OPENING, LADDER, longest_rest_s=0.0)
    precedence.advance(5.0)
    assert precedence.resting() == set()
    assert precedence.change_s() is None


def test_no_lane_rests_longer_than_the_longest_of_all():
    assert working(ONDEMAND, OPENING, LADDER, longest_rest_s=0.4).change_s() == 0.4


@pytest.mark.parametrize("seed", range(3))
def test_no_stream_of_higher_work_keeps_the_ladder_from_its_share(seed):
    pieces = random_pieces(seed, until_s=500.0, shortest_s=0.5)
    share = shares(working(LADDER), pieces)[LADDER]
    assert LOWER_SHARE - 0.02 < share < LOWER_SHARE + 0.05


@pytest.mark.parametrize("seed", range(3))
def test_what_runs_ahead_has_its_share_beside_endless_on_demand_work(seed):
    pieces = random_pieces(seed, until_s=500.0, shortest_s=0.5)
    share = shares(working(AHEAD, LADDER), pieces)
    assert LOWER_SHARE - 0.02 < share[AHEAD] < LOWER_SHARE + 0.05


@pytest.mark.parametrize("seed", range(3))
def test_three_lanes_at_once_have_each_their_share(seed):
    pieces = random_pieces(seed, until_s=500.0, shortest_s=0.5)
    share = shares(working(OPENING, LADDER), pieces)
    assert share[ONDEMAND] == pytest.approx(1.0, abs=0.01)
    assert OPENING_SHARE - 0.02 < share[OPENING] < OPENING_SHARE + 0.05
    assert LOWER_SHARE - 0.02 < share[LADDER] < LOWER_SHARE + 0.05


def test_ladder_waits_for_openings_too_and_not_for_their_turns():
    precedence = working(ONDEMAND, OPENING, LADDER)
    precedence.advance(1.0)
    assert precedence.resting() == {LADDER}
    precedence.leave(ONDEMAND, 1.5)
    assert precedence.resting() == {LADDER}
    precedence.leave(OPENING, 1.6)
    assert precedence.resting() == set()
