"""Copies of remote objects; a filesystem store stands for the remote one."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from reelay.common.storage import ObjectInfo, ObjectStore, StoreUnavailableError, open_store
from reelay.common.storage.filesystem import FilesystemObjectStore
from reelay.content_api.adapters.object_cache import KEEP_S, PREFIX, RECHECK_S, ObjectCache

pytestmark = pytest.mark.integration


class CountedStore(FilesystemObjectStore):
    """Notes what is read, and is away when told."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reads: list[str] = []
        self.away = False

    async def head(self, key: str) -> ObjectInfo:
        if self.away:
            raise StoreUnavailableError
        return await super().head(key)

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        self.reads.append(key)
        async for block in super().read(key, start, end):
            yield block
            if self.away:
                raise StoreUnavailableError


class Clock:
    def __init__(self) -> None:
        self.time_s = 1000.0

    def __call__(self) -> float:
        return self.time_s


@pytest.fixture
def remote(tmp_path: Path) -> CountedStore:
    return CountedStore(tmp_path / "remote")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(remote: ObjectStore, clock: Clock, tmp_path: Path) -> Iterator[ObjectCache]:
    (tmp_path / "cache").mkdir()
    cache = ObjectCache(remote, tmp_path / "cache", 100, now=clock)
    yield cache
    cache.close()
    assert not list((tmp_path / "cache").iterdir())


def copies(tmp_path: Path) -> int:
    return len(list((tmp_path / "cache").glob("*/*")))


async def content(cache: ObjectCache, key: str) -> bytes | None:
    file = await cache.find(key)
    if file is None:
        return None
    data = Path(file.path).read_bytes()  # noqa: ASYNC240 (a test)
    assert file.size_bytes == len(data)
    return data


async def test_object_is_copied_once_for_all_who_ask(
    cache: ObjectCache, remote: CountedStore
) -> None:
    await remote.put("a", b"x" * 50)
    assert cache.peek("a") is None
    found = await asyncio.gather(*(cache.find("a") for _ in range(20)))
    assert len(set(found)) == 1
    assert await content(cache, "a") == b"x" * 50
    assert cache.peek("a") == found[0]
    assert remote.reads == ["a"]


async def test_absent_object_is_asked_for_again(cache: ObjectCache, remote: CountedStore) -> None:
    assert await cache.find("a") is None
    await remote.put("a", b"x")
    assert await content(cache, "a") == b"x"


async def test_copies_used_longest_ago_are_dropped_when_there_is_no_room(
    cache: ObjectCache, remote: CountedStore, clock: Clock, tmp_path: Path
) -> None:
    for key in "abc":
        await remote.put(key, b"x" * 40)
    await cache.find("a")
    await cache.find("b")
    clock.time_s += KEEP_S + 1
    assert cache.peek("a")
    await cache.find("c")
    assert cache.peek("b") is None
    assert cache.peek("a")
    assert cache.peek("c")
    assert copies(tmp_path) == 2


async def test_copy_that_may_still_be_opened_is_kept_beyond_the_limit(
    cache: ObjectCache, remote: CountedStore, tmp_path: Path
) -> None:
    for key in "abc":
        await remote.put(key, b"x" * 60)
        await cache.find(key)
    assert copies(tmp_path) == 3


async def test_deleted_object_is_noticed_later(
    cache: ObjectCache, remote: CountedStore, clock: Clock, tmp_path: Path
) -> None:
    for key in "ab":
        await remote.put(key, b"x")
        await cache.find(key)
    await remote.delete("a")
    clock.time_s += RECHECK_S + 1
    assert cache.peek("a") is None
    assert await cache.find("a") is None
    assert await content(cache, "b") == b"x"
    assert remote.reads == ["a", "b"]
    assert copies(tmp_path) == 1


async def test_copy_is_served_while_the_store_is_away(
    cache: ObjectCache, remote: CountedStore, clock: Clock
) -> None:
    await remote.put("a", b"x")
    await cache.find("a")
    remote.away = True
    clock.time_s += RECHECK_S + 1
    assert await content(cache, "a") == b"x"


async def test_copy_that_somebody_removed_is_made_again(
    cache: ObjectCache, remote: CountedStore
) -> None:
    await remote.put("a", b"x")
    file = await cache.find("a")
    assert file is not None
    os.unlink(file.path)
    assert await content(cache, "a") == b"x"


async def test_interrupted_copy_leaves_nothing(
    cache: ObjectCache, remote: CountedStore, tmp_path: Path
) -> None:
    await remote.put("a", b"x")
    remote.away = True
    with pytest.raises(StoreUnavailableError):
        await cache.find("a")
    assert copies(tmp_path) == 0
    remote.away = False
    assert await content(cache, "a") == b"x"


def test_directories_of_killed_processes_are_removed_and_living_ones_kept(tmp_path: Path) -> None:
    orphan, fresh = tmp_path / f"{PREFIX}orphan", tmp_path / f"{PREFIX}fresh"
    orphan.mkdir()
    fresh.mkdir()
    store = open_store(f"file://{tmp_path}/store")
    first = ObjectCache(store, tmp_path, 100)
    past = time.time() - 1000
    for directory in tmp_path.glob(f"{PREFIX}*"):
        if directory != fresh:
            os.utime(directory, (past, past))
    second = ObjectCache(store, tmp_path, 100)
    assert len(list(tmp_path.glob(f"{PREFIX}*"))) == 3
    assert not orphan.exists()
    first.close()
    second.close()
    assert list(tmp_path.glob(f"{PREFIX}*")) == [fresh]
