"""The cache of remote objects; a filesystem store stands for the remote one."""

import asyncio
import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from reelay.common.storage import ObjectInfo, StoreUnavailableError
from reelay.common.storage.filesystem import FilesystemObjectStore
from reelay.content_api.adapters.cache_folder import (
    FORGOTTEN_S,
    PREFIX,
    CacheFolder,
    NoCacheFolderError,
)
from reelay.content_api.adapters.copies import KEEP_S, RECHECK_S, Copies
from reelay.content_api.adapters.digests import ASK_AGAIN_S, StoredDigests
from reelay.content_api.adapters.filling import DamagedObjectError
from reelay.content_api.adapters.object_cache import VERIFY_S, ObjectCache
from reelay.content_api.domain.ports import StoredFile

pytestmark = pytest.mark.integration

PACKAGE = "packages/" + "ab" * 32
LARGE = 300_000


def key(name: str) -> str:
    return f"{PACKAGE}/{name}"


class RemoteStore(FilesystemObjectStore):
    """Counts what is read, waits when told, and is away when told."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reads: Counter[str] = Counter()
        self.away = False
        self.going_on = asyncio.Event()
        self.going_on.set()

    async def head(self, key: str) -> ObjectInfo:
        if self.away:
            raise StoreUnavailableError
        return await super().head(key)

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        self.reads[key.removeprefix(PACKAGE + "/")] += 1
        async for block in super().read(key, start, end):
            yield block
            await self.going_on.wait()
            if self.away:
                raise StoreUnavailableError

    async def put_index(self, **objects: bytes) -> None:
        listed = {
            path: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for path, data in objects.items()
        }
        await self.put(key("index.json"), json.dumps({"objects": listed}).encode())


class Clock:
    def __init__(self) -> None:
        self.time_s = 1000.0

    def __call__(self) -> float:
        return self.time_s


Start = Callable[..., ObjectCache]


@pytest.fixture
async def remote(tmp_path: Path) -> RemoteStore:
    return RemoteStore(tmp_path / "remote")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def start(remote: RemoteStore, clock: Clock, tmp_path: Path) -> AsyncIterator[Start]:
    """Start a cache, as a new process would: on the folder of one that ended, if any."""
    ends: list[Callable[[], Awaitable[None]]] = []
    directory = tmp_path / "cache"
    directory.mkdir()

    def run(max_bytes: int = 10_000_000) -> ObjectCache:
        folder = CacheFolder(directory, "s3://a:b@host/bucket")
        copies = Copies(folder, max_bytes, 1_000_000, now=clock)
        cache = ObjectCache(remote, folder, StoredDigests(remote, now=clock), copies, now=clock)
        ends.append(cache.close)
        cache.closed = lambda: folder.close()  # type: ignore[attr-defined]
        return cache

    yield run
    for end in ends:
        await end()


def files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache").glob("*/objects/*"))


async def content(cache: ObjectCache, name: str) -> bytes | None:
    found = await cache.find(key(name))
    if found is None:
        return None
    file = found if isinstance(found, StoredFile) else await found.whole()
    data = Path(file.path).read_bytes()  # noqa: ASYNC240 (a test)
    assert file.size_bytes == len(data)
    assert file.content in (None, data)
    return data


async def restart(cache: ObjectCache, start: Start) -> ObjectCache:
    await cache.close()
    cache.closed()  # type: ignore[attr-defined]
    return start()


async def test_object_is_fetched_once_for_all_who_ask(start: Start, remote: RemoteStore) -> None:
    cache = start()
    data = os.urandom(LARGE)
    await remote.put(key("a"), data)
    assert cache.peek(key("a")) is None
    found = await asyncio.gather(*(content(cache, "a") for _ in range(100)))
    assert set(found) == {data}
    assert cache.peek(key("a")) is not None
    assert remote.reads["a"] == 1


async def test_bytes_that_arrived_are_readable_while_the_rest_is_on_its_way(
    start: Start, remote: RemoteStore
) -> None:
    cache = start()
    data = os.urandom(LARGE)
    await remote.put(key("a"), data)
    remote.going_on.clear()
    async with asyncio.timeout(20):
        first = await cache.find(key("a"))
        second = await cache.find(key("a"))
        assert first is second
        assert first is not None
        assert not isinstance(first, StoredFile)
        assert first.size_bytes == LARGE
        readable = await first.arrived(0)
        assert 0 < readable < LARGE
        assert Path(first.path).read_bytes()[:readable] == data[:readable]  # noqa: ASYNC240
        remote.going_on.set()
        assert await first.arrived(LARGE - 1) == LARGE
    assert remote.reads["a"] == 1


async def test_absent_object_is_asked_for_again(start: Start, remote: RemoteStore) -> None:
    cache = start()
    assert await content(cache, "a") is None
    await remote.put(key("a"), b"x")
    assert await content(cache, "a") == b"x"
    await remote.put(key("empty"), b"")
    assert await content(cache, "empty") == b""


async def test_small_objects_are_served_from_memory(start: Start, remote: RemoteStore) -> None:
    cache = start()
    await remote.put(key("a"), b"x" * 50)
    await content(cache, "a")
    file = cache.peek(key("a"))
    assert file is not None
    assert file.content == b"x" * 50


async def test_files_never_take_more_than_the_limit_but_for_those_just_used(
    start: Start, remote: RemoteStore, clock: Clock, tmp_path: Path
) -> None:
    cache = start(1_000_000)
    for number in range(8):
        await remote.put(key(str(number)), bytes([number]) * LARGE)
        await content(cache, str(number))
        clock.time_s += KEEP_S + 1
        assert sum(file.stat().st_size for file in files(tmp_path)) <= 1_000_000
    for number in range(10, 18):
        await remote.put(key(str(number)), bytes([number]) * LARGE)
        await content(cache, str(number))
    assert len(files(tmp_path)) == 8


async def test_object_other_than_the_index_says_is_never_complete_for_anybody(
    start: Start, remote: RemoteStore, tmp_path: Path
) -> None:
    cache = start()
    right, wrong = os.urandom(LARGE), os.urandom(LARGE)
    await remote.put_index(a=right, b=right)
    await remote.put(key("a"), wrong)
    await remote.put(key("b"), right)
    remote.going_on.clear()
    found = await cache.find(key("a"))
    assert found is not None
    assert not isinstance(found, StoredFile)
    remote.going_on.set()
    assert await found.arrived(LARGE - 10) <= LARGE - 1
    with pytest.raises(DamagedObjectError):
        await found.arrived(LARGE - 1)
    with pytest.raises(DamagedObjectError):
        await content(cache, "a")
    assert files(tmp_path) == []
    assert await content(cache, "b") == right


async def test_index_that_comes_later_is_found(
    start: Start, remote: RemoteStore, clock: Clock
) -> None:
    cache = start()
    await remote.put(key("a"), b"x")
    await content(cache, "a")
    await remote.put_index(b=b"y")
    await remote.put(key("b"), b"z")
    clock.time_s += ASK_AGAIN_S + 1
    with pytest.raises(DamagedObjectError):
        await content(cache, "b")


@pytest.mark.parametrize("index", [b"no json", b'{"objects": {"a": {"size": 1}}}'])
async def test_damaged_index_hinders_nobody(
    start: Start, remote: RemoteStore, index: bytes
) -> None:
    cache = start()
    await remote.put(key("index.json"), index)
    await remote.put(key("a"), b"x")
    assert await content(cache, "a") == b"x"
    assert await content(cache, "index.json") == index


async def test_process_that_starts_again_finds_what_it_had(
    start: Start, remote: RemoteStore, tmp_path: Path
) -> None:
    cache = start()
    data = os.urandom(LARGE)
    await remote.put(key("a"), data)
    await content(cache, "a")
    cache = await restart(cache, start)
    assert await content(cache, "a") == data
    assert remote.reads["a"] == 1
    assert len(files(tmp_path)) == 1


async def test_unfinished_files_of_a_killed_process_are_removed(
    start: Start, remote: RemoteStore, tmp_path: Path
) -> None:
    cache = start()
    cache.closed()  # type: ignore[attr-defined]
    folder = next((tmp_path / "cache").iterdir())
    (folder / "unfinished" / "0").write_bytes(b"x")
    os.mkfifo(folder / "pipes" / "0")
    (folder / "objects" / "stray").write_bytes(b"x")
    start()
    assert not [path for path in folder.glob("*/*")]


@pytest.mark.parametrize("damage", ["other bytes", "shorter", "gone"])
@pytest.mark.parametrize("started_again", [True, False])
async def test_damaged_file_is_dropped_and_fetched_again(
    start: Start, remote: RemoteStore, tmp_path: Path, damage: str, started_again: bool
) -> None:
    cache = start()
    data = os.urandom(LARGE)
    await remote.put(key("a"), data)
    await content(cache, "a")
    (file,) = files(tmp_path)
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(b"y" * (LARGE if damage == "other bytes" else 10))
    if started_again:
        cache = await restart(cache, start)
    assert await content(cache, "a") == data
    assert remote.reads["a"] == 2
    assert len(files(tmp_path)) == 1


async def test_silent_damage_is_found_when_the_digest_is_compared_again(
    start: Start, remote: RemoteStore, clock: Clock, tmp_path: Path
) -> None:
    cache = start()
    data = os.urandom(LARGE)
    await remote.put(key("a"), data)
    await content(cache, "a")
    (file,) = files(tmp_path)
    status = file.stat()
    file.write_bytes(b"y" * LARGE)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    clock.time_s += VERIFY_S + 1
    assert await content(cache, "a") == data


async def test_deleted_object_is_noticed_later_and_after_a_restart(
    start: Start, remote: RemoteStore, clock: Clock, tmp_path: Path
) -> None:
    cache = start()
    for name in "abc":
        await remote.put(key(name), name.encode() * LARGE)
        await content(cache, name)
    await remote.delete(key("a"))
    clock.time_s += RECHECK_S + 1
    assert cache.peek(key("a")) is None
    assert await content(cache, "a") is None
    assert await content(cache, "b") == b"b" * LARGE
    await remote.delete(key("c"))
    cache = await restart(cache, start)
    assert await content(cache, "c") is None
    assert len(files(tmp_path)) == 1
    assert remote.reads["b"] == 1


async def test_copy_is_served_while_the_store_is_away(
    start: Start, remote: RemoteStore, clock: Clock
) -> None:
    cache = start()
    data = os.urandom(LARGE)
    await remote.put(key("a"), data)
    await content(cache, "a")
    remote.away = True
    clock.time_s += RECHECK_S + 1
    assert await content(cache, "a") == data
    cache = await restart(cache, start)
    assert await content(cache, "a") == data


async def test_store_that_fails_on_the_way_leaves_nothing(
    start: Start, remote: RemoteStore, tmp_path: Path
) -> None:
    cache = start()
    data = os.urandom(LARGE)
    await remote.put(key("a"), data)
    remote.going_on.clear()
    found = await cache.find(key("a"))
    assert found is not None
    assert not isinstance(found, StoredFile)
    remote.away = True
    remote.going_on.set()
    with pytest.raises(StoreUnavailableError):
        await found.whole()
    with pytest.raises(StoreUnavailableError):
        await content(cache, "a")
    assert not list((tmp_path / "cache").glob("*/unfinished/*"))
    remote.away = False
    assert await content(cache, "a") == data


async def test_cache_that_cannot_be_written_is_an_outage(
    start: Start, remote: RemoteStore, tmp_path: Path
) -> None:
    cache = start()
    await remote.put(key("a"), b"x")
    folder = next((tmp_path / "cache").iterdir())
    (folder / "unfinished").rmdir()
    with pytest.raises(StoreUnavailableError):
        await content(cache, "a")
    (folder / "unfinished").mkdir()
    assert await content(cache, "a") == b"x"


def test_processes_on_one_machine_never_share_a_folder_and_stores_neither(tmp_path: Path) -> None:
    first, second = CacheFolder(tmp_path, "s3://a:b@h/x"), CacheFolder(tmp_path, "s3://a:b@h/x")
    other = CacheFolder(tmp_path, "s3://a:b@h/y")
    assert len({first.path, second.path, other.path}) == 3
    first.close()
    again = CacheFolder(tmp_path, "s3://new:secret@h/x")
    assert again.path == first.path
    for folder in (second, other, again):
        folder.close()


def test_folder_that_others_could_write_to_is_not_used(tmp_path: Path) -> None:
    mine = CacheFolder(tmp_path, "s3://a:b@h/x")
    mine.close()
    mine.path.chmod(0o777)
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    second = mine.path.with_name(mine.path.name[:-1] + "1")
    second.symlink_to(tmp_path / "elsewhere")
    third = CacheFolder(tmp_path, "s3://a:b@h/x")
    assert third.path not in (mine.path, second)
    third.close()


def test_directory_without_any_usable_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises((NoCacheFolderError, OSError)):
        CacheFolder(tmp_path / "file", "s3://a:b@h/x")


def test_folders_of_processes_that_ended_long_ago_are_removed(tmp_path: Path) -> None:
    folders = [CacheFolder(tmp_path, f"s3://a:b@h/{n}") for n in range(3)]
    folders[0].close()
    folders[1].close()
    past = time.time() - FORGOTTEN_S - 10
    for folder in (folders[0], folders[2]):
        os.utime(folder.path, (past, past))
    CacheFolder(tmp_path, "s3://a:b@h/x").close()
    assert not folders[0].path.exists()
    assert folders[1].path.exists()
    assert folders[2].path.exists()
    assert all(path.name.startswith(PREFIX) for path in tmp_path.iterdir())
    folders[2].close()
