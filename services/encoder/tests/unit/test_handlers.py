"""A chunk is made only as long as somebody needs it."""

from collections.abc import AsyncGenerator
from pathlib import Path
from uuid import UUID

import pytest

from reelay.common.commands import EncodeChunk, Lane, SegmentSpec, SourceSpec, VideoOutput
from reelay.common.events import SegmentFailed, SegmentReady
from reelay.common.storage import open_store
from reelay.encoder import handlers
from reelay.encoder.domain.cutting import EncodedSegment

FOLDER = "packages/p"


def chunk() -> EncodeChunk:
    return EncodeChunk(
        task_id=UUID(int=1),
        package_id="p",
        lane=Lane.LADDER,
        provider="software",
        source=SourceSpec(
            key="sources/x", demuxer="mov", video_stream=0, audio_stream=None, preroll_s=0.5
        ),
        fps_num=25,
        fps_den=1,
        video=[VideoOutput(rendition="360p", width=640, height=360, maxrate_bps=1, level="3.0")],
        segments=[SegmentSpec(number=n, first_frame=25 * (n - 1), frames=25) for n in (1, 2, 3)],
    )


class Maker:
    """Makes segments of no content; `then` happens after the first."""

    def __init__(self, then) -> None:
        self.then = then
        self.ended = False

    async def transcode(self, task: EncodeChunk) -> AsyncGenerator[EncodedSegment]:
        try:
            for spec in task.segments:
                yield EncodedSegment("360p", spec, b"x", 1, 2)
                await self.then()
        finally:
            self.ended = True


@pytest.fixture
def store(tmp_path: Path):
    return open_store(tmp_path.as_uri())


async def encode(store, maker) -> list[int]:
    made = []

    async def announce(event: SegmentReady | SegmentFailed, message_id: str) -> None:
        assert isinstance(event, SegmentReady)
        made.append(event.number)

    await handlers.encode_chunk(chunk(), maker, store, announce)
    return made


@pytest.mark.parametrize("mark", handlers.END_MARKS)
async def test_running_chunk_of_an_ended_package_stops_at_its_next_segment(
    store, mark, monkeypatch
):
    monkeypatch.setattr(handlers, "LOOK_INTERVAL_S", -1.0)

    async def end() -> None:
        await store.put(f"{FOLDER}/{mark}", b"{}")

    maker = Maker(then=end)
    assert await encode(store, maker) == [1, 2]
    assert maker.ended


async def test_running_chunk_of_a_package_that_was_removed_stops(store, monkeypatch):
    monkeypatch.setattr(handlers, "LOOK_INTERVAL_S", -1.0)
    plan = f"{FOLDER}/{handlers.PLAN}"
    await store.put(plan, b"{}")

    async def remove() -> None:
        await store.delete(plan)

    assert await encode(store, Maker(then=remove)) == [1, 2]


async def test_chunk_of_a_package_under_way_is_made_whole(store, monkeypatch):
    monkeypatch.setattr(handlers, "LOOK_INTERVAL_S", -1.0)

    async def nothing() -> None:
        return None

    assert await encode(store, Maker(then=nothing)) == [1, 2, 3]


async def test_segments_tell_the_attempt_of_which_they_come(store) -> None:
    heard: list[SegmentReady | SegmentFailed] = []

    async def announce(event: SegmentReady | SegmentFailed, message_id: str) -> None:
        heard.append(event)

    async def go_on() -> None:
        pass

    task = chunk().model_copy(update={"attempt": 3})
    await handlers.encode_chunk(task, Maker(go_on), store, announce)
    assert [event.attempt for event in heard] == [3, 3, 3]
