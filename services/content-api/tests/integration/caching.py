"""Caches of remote objects, started and ended as processes are; a filesystem store is remote."""

import asyncio
import hashlib
import json
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from reelay.common.storage import ObjectInfo, StoreUnavailableError
from reelay.common.storage.filesystem import FilesystemObjectStore
from reelay.content_api.adapters.cache_folder import CacheFolder
from reelay.content_api.adapters.copies import Copies
from reelay.content_api.adapters.digests import StoredDigests
from reelay.content_api.adapters.object_cache import ObjectCache
from reelay.content_api.domain.ports import Arriving, StoredFile

PACKAGE = "packages/" + "ab" * 32
LARGE = 300_000
"""Bytes of an object that is served while it arrives, and that memory does not keep."""


def key(name: str) -> str:
    return f"{PACKAGE}/{name}"


class RemoteStore(FilesystemObjectStore):
    """Counts what is read, waits when told, and is away when told."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reads: Counter[str] = Counter()
        self.begun: dict[str, Callable[[bytes], None]] = {}
        """What is to be called with the first bytes of anticipated objects."""
        self.silent: set[str] = set()
        """Names of objects whose reads never end."""
        self.away = False
        self.failing: set[str] = set()
        """Names of objects that cannot be read now."""
        self.going_on = asyncio.Event()
        self.going_on.set()

    async def head(self, key: str) -> ObjectInfo:
        if self.away:
            raise StoreUnavailableError
        return await super().head(key)

    def anticipate(self, key: str, begun: Callable[[bytes], None]) -> None:
        self.begun[key] = begun

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        self.reads[key.removeprefix(PACKAGE + "/")] += 1
        if key.removeprefix(PACKAGE + "/") in self.silent:
            await asyncio.Event().wait()
        if key.removeprefix(PACKAGE + "/") in self.failing:
            raise StoreUnavailableError
        async for block in super().read(key, start, end):
            yield block
            await self.going_on.wait()
            if self.away:
                raise StoreUnavailableError

    async def put_large(self, name: str) -> bytes:
        """Store an object; return its bytes."""
        data = os.urandom(LARGE)
        await self.put(key(name), data)
        return data

    async def put_index(self, **objects: bytes) -> None:
        listed = {
            path: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for path, data in objects.items()
        }
        await self.put(key("index.json"), json.dumps({"objects": listed}).encode())


class Clock:
    """Stands still but for what a test adds."""

    def __init__(self) -> None:
        self.time_s = 1000.0

    def __call__(self) -> float:
        return self.time_s


class Machine:
    """A directory of caches of one remote store."""

    def __init__(self, directory: Path, remote: RemoteStore, clock: Clock) -> None:
        self.directory = directory
        self._remote = remote
        self._clock = clock
        self._running: dict[ObjectCache, CacheFolder] = {}

    def start(self, max_bytes: int = 10_000_000) -> ObjectCache:
        """Start a cache, as a new process would: on the folder of one that ended, if any."""
        folder = CacheFolder(self.directory, "s3://a:b@host/bucket")
        copies = Copies(folder, max_bytes, 1_000_000, now=self._clock)
        digests = StoredDigests(self._remote, now=self._clock)
        cache = ObjectCache(self._remote, folder, digests, copies, now=self._clock)
        self._running[cache] = folder
        return cache

    async def start_with(self, name: str) -> tuple[ObjectCache, bytes]:
        """Start a cache and let it fetch a large object; return both."""
        cache, data = self.start(), await self._remote.put_large(name)
        assert await content(cache, name) == data
        return cache, data

    async def end(self, cache: ObjectCache) -> None:
        """End a cache; its folder is free then."""
        await cache.close()
        self._running.pop(cache).close()

    async def restart(self, cache: ObjectCache) -> ObjectCache:
        await self.end(cache)
        return self.start()

    async def end_all(self) -> None:
        for cache in list(self._running):
            await self.end(cache)

    def files(self) -> list[Path]:
        """Return the complete files."""
        return sorted(self.directory.glob("*/objects/*"))


async def content(cache: ObjectCache, name: str) -> bytes | None:
    """Read an object to its end, as it is stored in the cache; None when there is none."""
    found = await cache.find(key(name))
    if found is None:
        return None
    file = found if isinstance(found, StoredFile) else await found.whole()
    data = Path(file.path).read_bytes()  # noqa: ASYNC240 (a test)
    assert file.size_bytes == len(data)
    assert file.content in (None, data)
    return data


async def arriving(cache: ObjectCache, name: str) -> Arriving:
    """Ask for an object; return it while it is on its way."""
    found = await cache.find(key(name))
    assert found is not None
    assert not isinstance(found, StoredFile)
    return found
