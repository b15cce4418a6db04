"""Who rests, and for how long at the most."""

import random

import pytest

from reelay.common.commands import Lane
from reelay.encoder.domain.precedence import TURN_SHARE, Precedence

ONDEMAND, OPENING, LADDER = Lane


def working(*lanes: Lane, longest_rest_s: float = 10.0) -> Precedence:
    precedence = Precedence(longest_rest_s)
    for lane in lanes:
        precedence.enter(lane, 0.0)
    return precedence


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


def test_longest_rest_is_followed_by_a_turn_of_a_quarter_of_it():
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
    precedence = working(ONDEMAND, LADDER, longest_rest_s=0.0)
    assert precedence.resting() == set()
    assert precedence.change_s() is None


@pytest.mark.parametrize("seed", range(5))
def test_no_stream_of_higher_work_keeps_the_ladder_from_its_share(seed):
    chance = random.Random(seed)
    precedence = working(LADDER)
    now_s = ran_s = 0.0
    next_s = 0.0
    busy = False
    while now_s < 1000:
        if next_s <= now_s:
            (precedence.leave if busy else precedence.enter)(OPENING, now_s)
            busy = not busy
            next_s = now_s + (chance.uniform(0.5, 30.0) if busy else chance.uniform(0.0, 0.05))
        change_s = precedence.change_s()
        until_s = min(next_s, 1000.0 if change_s is None else now_s + change_s + 0.001)
        if LADDER not in precedence.resting():
            ran_s += until_s - now_s
        now_s = until_s
        precedence.advance(now_s)
    assert TURN_SHARE - 0.02 < ran_s / now_s < TURN_SHARE + 0.05
