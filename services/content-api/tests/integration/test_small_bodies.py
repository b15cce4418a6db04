"""Small bodies are gathered from files that may get another name, or be dropped, at any time."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from reelay.common.storage import StoreUnavailableError
from reelay.content_api.adapters.feeds import PipeFeeds
from reelay.content_api.adapters.pipes import FileThreads
from reelay.content_api.domain.bodies import Body
from reelay.content_api.domain.ports import StoredFile
from reelay.content_api.domain.ranges import ByteRange

pytestmark = pytest.mark.integration

CONTENT = bytes(range(200))
PARTS = Body((b"head", ByteRange(10, 20), ByteRange(190, 200)), "text/plain")


class Renamed:
    """An object whose file gets another name as soon as the loop has a moment."""

    size_bytes = len(CONTENT)
    beginning = b""

    def __init__(self, folder: Path) -> None:
        self.renamed = Event()
        self.path = str(folder / "unfinished")
        Path(self.path).write_bytes(CONTENT)

    async def arrived(self, position: int) -> int:
        asyncio.get_running_loop().call_soon(self._rename)
        return self.size_bytes

    async def whole(self) -> StoredFile:
        return StoredFile(self.path, self.size_bytes)

    def _rename(self) -> None:
        Path(self.path).rename(f"{self.path}-no-more") if not self.renamed.is_set() else None
        self.renamed.set()


@pytest.fixture
def feeds(tmp_path: Path) -> PipeFeeds:
    return PipeFeeds(tmp_path, FileThreads(1))


async def test_file_that_is_renamed_before_a_thread_is_free_is_read(
    feeds: PipeFeeds, tmp_path: Path
) -> None:
    source = Renamed(tmp_path)
    threads = ThreadPoolExecutor(1)
    asyncio.get_running_loop().set_default_executor(threads)
    threads.submit(source.renamed.wait, 20)
    assert await feeds.read(PARTS, source) == b"head" + CONTENT[10:20] + CONTENT[190:]


async def test_file_that_is_gone_or_short_is_an_outage_of_the_store(
    feeds: PipeFeeds, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    found = StoredFile(str(path), len(CONTENT))
    with pytest.raises(StoreUnavailableError):
        await feeds.read(PARTS, found)
    path.write_bytes(CONTENT[:195])
    with pytest.raises(StoreUnavailableError):
        await feeds.read(PARTS, found)


async def test_cancelled_reader_leaves_no_file_open(feeds: PipeFeeds, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    threads, go_on = ThreadPoolExecutor(1), Event()
    asyncio.get_running_loop().set_default_executor(threads)
    threads.submit(go_on.wait, 20)
    reading = asyncio.create_task(feeds.read(PARTS, StoredFile(str(path), len(CONTENT))))
    await asyncio.sleep(0)
    reading.cancel()
    asyncio.get_running_loop().call_soon(go_on.set)
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert path not in opened()


def opened() -> set[Path]:
    return {link.resolve() for link in Path("/proc/self/fd").iterdir()}
