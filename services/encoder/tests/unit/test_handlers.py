"""A chunk is made only as long as somebody needs it."""

from collections.abc import AsyncGenerator
from pathlib import Path
from uuid import UUID

import pytest

from reelay.common import outages
from reelay.common.commands import EncodeChunk, Lane, SegmentSpec, SourceSpec, VideoOutput
from reelay.common.errors import OutageError
from reelay.common.events import SegmentFailed, SegmentReady
from reelay.common.fitness import UnfitError
from reelay.common.outages import FailsAloneError
from reelay.common.storage import ObjectInfo, PutResult, StoreUnavailableError, open_store
from reelay.common.storage.filesystem import FilesystemObjectStore
from reelay.common.storage.port import Bytes
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


async def find_nothing() -> None:
    """Find nothing wrong."""


class Maker:
    """Makes segments of no content; `then` happens after the first."""

    def __init__(self, then) -> None:
        self.then = then
        self.begun = 0
        self.ended = False

    async def transcode(self, task: EncodeChunk) -> AsyncGenerator[EncodedSegment]:
        self.begun += 1
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

    await handlers.encode_chunk(chunk(), maker, store, announce, find_nothing)
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
    await handlers.encode_chunk(task, Maker(go_on), store, announce, find_nothing)
    assert [event.attempt for event in heard] == [3, 3, 3]


class FlakyStore(FilesystemObjectStore):
    """A store that is away for some calls once it is told."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.failing: dict[str, int] = {}

    async def put(self, key: str, data: Bytes | Path) -> PutResult:
        """See ObjectStore."""
        self._fail("put")
        return await super().put(key, data)

    async def head(self, key: str) -> ObjectInfo:
        """See ObjectStore."""
        self._fail("head")
        return await super().head(key)

    def _fail(self, method: str) -> None:
        if self.failing.get(method):
            self.failing[method] -= 1
            raise StoreUnavailableError("away")


@pytest.fixture
def flaky(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FlakyStore:
    """A store that is asked for a package's state after each segment, and again at once."""
    monkeypatch.setattr(handlers, "LOOK_INTERVAL_S", -1.0)
    monkeypatch.setattr(outages, "FIRST_DELAY_S", 0.0)
    return FlakyStore(tmp_path)


@pytest.mark.parametrize("method", ["put", "head"])
async def test_chunk_is_made_once_though_the_store_is_away_meanwhile(
    flaky: FlakyStore, method: str
) -> None:
    async def be_away() -> None:
        flaky.failing[method] = 3

    maker = Maker(then=be_away)
    assert await encode(flaky, maker) == [1, 2, 3]
    assert maker.begun == 1


async def test_chunk_is_made_once_though_the_broker_is_away_meanwhile(flaky: FlakyStore) -> None:
    told, away = list[str](), [OutageError() for _ in range(3)]

    async def announce(event: SegmentReady | SegmentFailed, message_id: str) -> None:
        if told and away:
            raise away.pop()
        told.append(message_id)

    async def go_on() -> None:
        pass

    maker = Maker(go_on)
    await handlers.encode_chunk(chunk(), maker, flaky, announce, find_nothing)
    assert maker.begun == 1
    assert len(told) == 3


async def test_who_cannot_work_keeps_no_segment_back(flaky: FlakyStore, monkeypatch) -> None:
    monkeypatch.setattr(outages, "HAND_ON_AFTER_S", -1.0)

    async def announce(event: SegmentReady | SegmentFailed, message_id: str) -> None:
        raise OutageError

    async def find_something() -> None:
        raise StoreUnavailableError("for me alone")

    async def go_on() -> None:
        pass

    maker = Maker(go_on)
    with pytest.raises(UnfitError):
        await handlers.encode_chunk(chunk(), maker, flaky, announce, find_something)
    assert maker.ended


async def test_segment_that_a_working_store_does_not_take_is_a_failure(
    flaky: FlakyStore, monkeypatch
) -> None:
    monkeypatch.setattr(outages, "HAND_ON_AFTER_S", -1.0)
    monkeypatch.setattr(outages, "BLAMED_AFTER_S", -1.0)

    async def be_away() -> None:
        flaky.failing["put"] = 100

    maker = Maker(then=be_away)
    with pytest.raises(FailsAloneError, match="away"):
        await encode(flaky, maker)
    assert maker.begun == 1
    assert maker.ended
