"""Chunks of the lanes above the ladder, and what chunks cost."""

from reelay.common.commands import Lane
from reelay.packager.domain.chunks import (
    Chunk,
    ahead_chunk,
    chunk_cost,
    ondemand_chunk,
    opening_chunk,
)

from .plans import plan


def test_opening_is_the_lowest_rung_with_its_sound() -> None:
    chunk = opening_chunk(plan(60), {})
    assert chunk == Chunk(Lane.OPENING, "software", ("360p", "audio"), 1, 3)


def test_opening_ends_with_a_short_clip() -> None:
    chunk = opening_chunk(plan(1.5), {})
    assert chunk is not None
    assert chunk.last == 2


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
