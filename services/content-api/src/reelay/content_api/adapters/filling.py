"""One object on its way from the store into the cache, for all who ask for it meanwhile."""

import asyncio
import hashlib
import os
from pathlib import Path

from reelay.common.storage import ObjectMissingError, ObjectStore, StoreUnavailableError
from reelay.content_api.domain.ports import Digests, StoredFile


class DamagedObjectError(StoreUnavailableError):
    """The store gave other bytes than the package's index promises; `reelay verify` tells more."""


class Filling:
    """An object that is being fetched, once; see Arriving.

    Its readers may have every byte but the last before the digest was compared, so nobody ever
    holds a complete object that is wrong.
    """

    def __init__(self, store: ObjectStore, digests: Digests, key: str, path: Path) -> None:
        self.key = key
        self.unfinished = str(path)
        self.path = self.unfinished
        self.size_bytes = 0
        self.sha256 = ""
        self._store = store
        self._digests = digests
        self._bytes = 0
        self._sha = hashlib.sha256()
        self._error: Exception | None = None
        self._file: StoredFile | None = None
        self._news = asyncio.Event()
        self.begun: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        """Whether there is such an object: known with its first bytes."""

    async def arrived(self, position: int) -> int:
        """See Arriving."""
        while True:
            if self._file is not None:
                return self.size_bytes
            if self._error is not None:
                raise _told_again(self._error)
            readable = min(self._bytes, self.size_bytes - 1)
            if readable > position:
                return readable
            await self._news.wait()

    async def whole(self) -> StoredFile:
        """See Arriving."""
        await self.arrived(self.size_bytes)
        assert self._file is not None
        return self._file

    async def fetch(self) -> None:
        """Write the object to the file and check it; raise what the store does.

        Raises ObjectMissingError, DamagedObjectError and OSError too. Afterwards the file is
        complete, and `done` is to be called.
        """
        size = asyncio.ensure_future(self._size())
        index = asyncio.ensure_future(self._digests.of(self.key))
        try:
            await self._copy(size)
            expected = await index
        finally:
            size.cancel()
            index.cancel()
            await asyncio.gather(size, index, return_exceptions=True)
        self.sha256 = self._sha.hexdigest()
        if self._bytes != self.size_bytes:
            raise StoreUnavailableError(f"{self.key} ended after {self._bytes} bytes")
        if expected is not None and expected != (self.size_bytes, self.sha256):
            raise DamagedObjectError(f"{self.key} is not what its package's index says")

    def done(self, file: StoredFile) -> None:
        """Let everybody have the complete file."""
        self._file = file
        self.path = file.path
        self._announce(there=True)

    def failed(self, error: Exception) -> None:
        """Tell everybody that nothing more comes."""
        self._error = error
        if isinstance(error, ObjectMissingError):
            self._announce(there=False)
        elif not self.begun.done():
            self.begun.set_exception(error)
            self.begun.exception()  # It may be that nobody waits any more.
        self._news.set()

    async def _size(self) -> int:
        """Return the object's size: from the index, or from the store while it sends the object."""
        known = self._digests.known(self.key)
        return known[0] if known else (await self._store.head(self.key)).size_bytes

    async def _copy(self, size: asyncio.Future[int]) -> None:
        file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        hashed: asyncio.Future[None] | None = None
        try:
            async for block in self._store.read(self.key):
                if self._bytes:
                    await asyncio.to_thread(_write, file, block)
                else:
                    # Somebody waits for the first bytes: no detour through another thread.
                    _write(file, block)
                    self.size_bytes = await size
                self._bytes += len(block)
                self._announce(there=True)
                if hashed:
                    await hashed
                hashed = asyncio.ensure_future(asyncio.to_thread(self._sha.update, block))
            if hashed:
                await hashed
            self.size_bytes = await size
        finally:
            os.close(file)

    def _announce(self, *, there: bool) -> None:
        if not self.begun.done():
            self.begun.set_result(there)
        self._news.set()
        self._news = asyncio.Event()


def _write(file: int, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[os.write(file, view) :]


def _told_again(error: Exception) -> Exception:
    """Return the error for one more who waits, without the traces of the others."""
    if isinstance(error, StoreUnavailableError):
        return type(error)(error.detail)
    return StoreUnavailableError(f"The object cannot be fetched: {error}")
