"""Cutting the ladder: every segment is made, few twice, in few chunks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelay.common.commands import Lane
from reelay.packager.domain.chunks import Chunk, merge, opening_chunk, whole
from reelay.packager.domain.ladder_chunks import (
    LEAST_ALONE_S,
    LEAST_S,
    MOST_S,
    ladder_chunk,
)
from reelay.packager.domain.plan import Plan
from reelay.packager.domain.timeline import STEADY

from .plans import plan

EVERY = ("360p", "480p", "720p", "audio")


def make_all(
    promise: Plan, stored: dict[str, int], encoders: int = 1, *, alone: bool = False
) -> list[Chunk]:
    """Dispatch chunks until nothing is missing."""
    chunks = []
    opening = opening_chunk(promise, stored)
    if opening:
        chunks.append(opening)
    while chunk := ladder_chunk(promise, merge(stored, chunks), encoders=encoders, alone=alone):
        chunks.append(chunk)
        assert len(chunks) < 1000
    return chunks


def seconds(promise: Plan, chunk: Chunk) -> float:
    spans = promise.timeline.video()[chunk.first - 1 : chunk.last]
    return float(sum(span.frames for span in spans) / promise.timeline.rate)


def test_lone_encoder_makes_a_minute_at_once_with_what_the_opening_made() -> None:
    assert make_all(plan(60), {})[1:] == [Chunk(Lane.LADDER, "software", EVERY, 1, 17)]


@pytest.mark.parametrize("encoders", [2, 9])
def test_encoders_share_a_film_in_chunks_that_are_not_too_short(encoders: int) -> None:
    chunks = make_all(plan(60), {}, encoders)[1:]
    assert [(c.first, c.last) for c in chunks] == [(1, 6), (7, 10), (11, 14), (15, 17)]


def test_chunks_become_shorter_towards_the_end_of_a_film() -> None:
    promise = plan(1200)
    lengths = [seconds(promise, chunk) for chunk in make_all(promise, {}, encoders=4)[1:]]
    assert lengths[0] == MOST_S
    # What four encoders work on at the end is short, so that none has long nothing to do.
    assert all(length < 1.5 * LEAST_S for length in lengths[-4:])


def test_only_film_is_shared_in_shorter_chunks_by_encoders_that_have_nothing_else() -> None:
    promise = plan(60)
    lengths = [seconds(promise, chunk) for chunk in make_all(promise, {}, 9, alone=True)[1:]]
    assert lengths[:-1] == [LEAST_ALONE_S] * 7


def test_lone_encoder_makes_the_only_film_in_chunks_as_long_as_ever() -> None:
    promise = plan(60)
    assert make_all(promise, {}, alone=True) == make_all(promise, {})


def test_chunks_of_a_large_picture_are_no_longer_in_work() -> None:
    promise = plan(1200, size=(3840, 2160))
    [_, first, *_] = make_all(promise, {})
    assert LEAST_S <= seconds(promise, first) < MOST_S / 2


def test_expensive_rungs_are_not_made_again() -> None:
    promise = plan(60)
    stored = {"720p": 0b1111_0000}
    made = [c for c in make_all(promise, stored) if "720p" in c.renditions]
    assert all(not c.bits & stored["720p"] for c in made)


def test_nothing_is_left_when_all_is_stored() -> None:
    promise = plan()
    assert make_all(promise, {r.name: whole(r) for r in promise.renditions}) == []


@given(st.floats(0.1, 200), st.booleans(), st.integers(1, 20), st.data())
def test_every_missing_segment_is_made_and_only_runs_with_something_missing(
    length_s: float, sound: bool, encoders: int, data: st.DataObject
) -> None:
    promise = plan(length_s, sound=sound)
    stored = {r.name: data.draw(st.integers(0, whole(r)), label=r.name) for r in promise.renditions}
    there = dict(stored)
    for chunk in make_all(promise, stored, encoders):
        assert seconds(promise, chunk) < 1.5 * MOST_S + STEADY
        lacks = {n: chunk.bits & whole(promise.rendition(n)) & ~there[n] for n in chunk.renditions}
        if chunk.lane == Lane.LADDER:
            assert all(lacks.values()), "each of its renditions lacks something"
            union = 0
            for bits in lacks.values():
                union |= bits
            assert union == chunk.bits & whole(promise.renditions[0])
        there = merge(there, [chunk])
    for rendition in promise.renditions:
        assert there[rendition.name] & whole(rendition) == whole(rendition)


def test_ladder_works_from_the_focus_on_and_returns_to_fill_the_rest() -> None:
    promise = plan(120)
    stored: dict[str, int] = {}
    seen = []
    while chunk := ladder_chunk(promise, stored, focus=20):
        seen.append(chunk.first)
        stored = merge(stored, [chunk])
    assert seen[0] == 20
    assert 1 in seen[1:]
    assert all(stored[r.name] & whole(r) == whole(r) for r in promise.renditions)


@pytest.mark.parametrize("sound", [True, False])
def test_rest_of_a_stored_film_is_one_chunk(sound: bool) -> None:
    promise = plan(60, sound=sound)
    stored = {r.name: whole(r) & ~(1 << 9) for r in promise.renditions}
    [chunk] = make_all(promise, stored)
    assert (chunk.first, chunk.last) == (10, 10)
