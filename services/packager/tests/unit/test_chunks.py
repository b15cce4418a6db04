"""Cutting the work: every segment is made once, whatever is stored or under way."""

from hypothesis import given
from hypothesis import strategies as st

from reelay.common.commands import Lane
from reelay.packager.domain.chunks import (
    LADDER_SEGMENTS,
    Chunk,
    ahead_chunk,
    chunk_cost,
    ladder_chunk,
    merge,
    ondemand_chunk,
    opening_chunk,
    whole,
)
from reelay.packager.domain.plan import Plan

from .plans import plan


def make_all(promise: Plan, stored: dict[str, int]) -> list[Chunk]:
    """Dispatch chunks until nothing is missing."""
    chunks = []
    opening = opening_chunk(promise, stored)
    if opening:
        chunks.append(opening)
    while chunk := ladder_chunk(promise, merge(stored, chunks)):
        chunks.append(chunk)
        assert len(chunks) < 1000
    return chunks


def test_opening_is_the_lowest_rung_with_its_sound() -> None:
    chunk = opening_chunk(plan(60), {})
    assert chunk == Chunk(Lane.OPENING, "software", ("360p", "audio"), 1, 4)


def test_opening_ends_with_a_short_clip() -> None:
    chunk = opening_chunk(plan(1.5), {})
    assert chunk is not None
    assert chunk.last == 2


def test_ladder_makes_what_the_opening_does_not_then_everything() -> None:
    promise = plan(60)
    chunks = make_all(promise, {})
    assert chunks[1] == Chunk(Lane.LADDER, "software", ("480p", "720p"), 1, 4)
    assert chunks[2] == Chunk(Lane.LADDER, "software", ("360p", "480p", "720p", "audio"), 5, 12)


def test_nothing_is_left_when_all_is_stored() -> None:
    promise = plan()
    assert make_all(promise, {r.name: whole(r) for r in promise.renditions}) == []


@given(st.floats(0.1, 200), st.booleans(), st.data())
def test_every_missing_segment_is_made_exactly_once(
    seconds: float, sound: bool, data: st.DataObject
) -> None:
    promise = plan(seconds, sound=sound)
    stored = {r.name: data.draw(st.integers(0, whole(r)), label=r.name) for r in promise.renditions}
    made = {r.name: 0 for r in promise.renditions}
    for chunk in make_all(promise, stored):
        assert chunk.last - chunk.first < LADDER_SEGMENTS
        for name in chunk.renditions:
            bits = chunk.bits & whole(promise.rendition(name))
            if chunk.lane == Lane.LADDER:
                assert not bits & (made[name] | stored[name])
            made[name] |= bits
    for rendition in promise.renditions:
        assert made[rendition.name] | stored[rendition.name] == whole(rendition)


def test_ladder_works_from_the_focus_on_and_returns_to_fill_the_rest() -> None:
    promise = plan(120)
    stored: dict[str, int] = {}
    seen = []
    while chunk := ladder_chunk(promise, stored, focus=20):
        seen.append(chunk.first)
        for name in chunk.renditions:
            stored[name] = stored.get(name, 0) | chunk.bits
    assert seen[0] == 20
    assert 1 in seen[1:]
    assert all(stored[r.name] & whole(r) == whole(r) for r in promise.renditions)


def test_demanded_segment_brings_its_sound_unless_it_is_there() -> None:
    promise = plan(60)
    chunk = ondemand_chunk(promise, {}, 9, {"720p"})
    assert chunk == Chunk(Lane.ONDEMAND, "software", ("720p", "audio"), 9, 9)
    assert ondemand_chunk(promise, {"audio": 1 << 8}, 9, {"720p"}).renditions == ("720p",)


def test_lowest_rung_runs_ahead_of_a_viewer_as_far_as_nothing_is_there() -> None:
    promise = plan(120)
    assert ahead_chunk(promise, {}, 10) == Chunk(
        Lane.OPENING, "software", ("360p", "audio"), 11, 14
    )
    met = {"360p": 1 << 12, "audio": 1 << 12}
    chunk = ahead_chunk(promise, met, 10)
    assert chunk is not None
    assert (chunk.first, chunk.last) == (11, 12)
    assert ahead_chunk(promise, {"360p": 1 << 10, "audio": 1 << 10}, 10) is None


def test_nothing_runs_ahead_of_the_end() -> None:
    promise = plan(60)
    last = len(promise.renditions[0].spans)
    assert ahead_chunk(promise, {}, last) is None


def test_cost_grows_with_pixels_and_time() -> None:
    promise = plan(60)
    low = Chunk(Lane.LADDER, "software", ("360p",), 5, 8)
    high = Chunk(Lane.LADDER, "software", ("720p",), 5, 8)
    both = Chunk(Lane.LADDER, "software", ("360p", "720p"), 5, 8)
    cost = {c: chunk_cost(promise, c) for c in (low, high, both)}
    assert cost[low] < cost[high] < cost[both] < cost[low] + cost[high]
    assert chunk_cost(promise, Chunk(Lane.LADDER, "software", ("360p",), 5, 6)) < cost[low]
