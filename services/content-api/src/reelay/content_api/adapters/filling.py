"""One object on its way from the store into the cache, for all who ask for it meanwhile."""

import asyncio
import hashlib
import os
from contextlib import suppress
from pathlib import Path

from reelay.common.storage import ObjectMissingError, ObjectStore, StoreUnavailableError
from reelay.content_api.domain.ports import Digests, StoredFile

FIRST_BYTES_S = 10.0
"""An object of which nothing has come for so long is given up: others wait for its turn."""


class DamagedObjectError(StoreUnavailableError):
    """The store gave other bytes than the package's index promises; `reelay verify` tells more."""


class MadeAgainError(StoreUnavailableError):
    """This video was just made again; ask again."""


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
        self.expected: tuple[int, str] | None = None
        """Size and digest that the package's index told."""
        self.checked = False
        """Whether the package's index was asked about the object when that was complete."""
        self.beginning = b""
        self._store = store
        self._digests = digests
        self._bytes = 0
        self._sha = hashlib.sha256()
        self._error: Exception | None = None
        self._file: StoredFile | None = None
        self._news = asyncio.Event()

    async def exists(self) -> bool:
        """Tell whether there is such an object, and its size: known with its first bytes.

        Raises what `arrived` does.
        """
        while not (self.beginning or self._bytes) and self._file is None:
            if isinstance(self._error, ObjectMissingError):
                return False
            if self._error is not None:
                raise _told_again(self._error)
            await self._news.wait()
        return True

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

    def begun(self, beginning: bytes) -> None:
        """Hear of the first bytes before they are read: somebody waits for them.

        They go out from memory; `arrived` counts them when they are in the file.
        """
        known = self._digests.known(self.key)
        if known and not self._bytes and len(beginning) < known[0]:  # see _begin
            self.size_bytes = known[0]
            self.beginning = beginning
            self._announce()

    async def fetch(self) -> None:
        """Write the object to the file and check it; raise what the store does.

        Raises ObjectMissingError, DamagedObjectError and OSError too. Afterwards the file is
        complete, and `done` is to be called.
        """
        # These run while the store finds the object, which so is asked first.
        size = asyncio.ensure_future(self._size())
        index = asyncio.ensure_future(self._digests.of(self.key))
        file = asyncio.ensure_future(_create(self.path))
        try:
            await self._copy(size, file)
            with suppress(StoreUnavailableError):  # of the index alone: the object is here
                self.expected = await index
                self.checked = True
        finally:
            for task in (size, index, file):
                task.cancel()
            if file.done() and not file.cancelled() and not file.exception():
                os.close(file.result())  # Otherwise it was never opened, and is not any more.
            await asyncio.gather(size, index, file, return_exceptions=True)
        self.sha256 = self._sha.hexdigest()
        if self.expected not in (None, (self._bytes, self.sha256)):
            raise DamagedObjectError(f"{self.key} is not what its package's index says")
        if self._bytes != self.size_bytes:
            raise StoreUnavailableError(f"{self.key} ended after {self._bytes} bytes")

    def done(self, file: StoredFile) -> None:
        """Let everybody have the complete file."""
        self._file = file
        self.path = file.path
        self._announce()

    def failed(self, error: Exception) -> None:
        """Tell everybody that nothing more comes."""
        self._error = error
        self._announce()

    async def _size(self) -> int:
        """Return the object's size: from the index, or from the store while it sends the object."""
        known = self._digests.known(self.key)
        return known[0] if known else (await self._store.head(self.key)).size_bytes

    async def _copy(self, size: asyncio.Future[int], file: asyncio.Future[int]) -> None:
        hashed: asyncio.Future[None] | None = None
        blocks = aiter(self._store.read(self.key))
        try:
            async with asyncio.timeout(FIRST_BYTES_S):
                first = await anext(blocks, b"")
        except TimeoutError as error:
            raise StoreUnavailableError("The object store is silent.") from error
        if first:
            self.size_bytes = await size
            await self._begin(first, await file)
        async for block in blocks:
            self.beginning = b""  # the file will do for who comes now
            await _write_beside(await file, block)
            self._bytes += len(block)
            self._announce()
            if hashed:
                await hashed
            hashed = asyncio.ensure_future(asyncio.to_thread(self._sha.update, block))
        if hashed:
            await hashed
        self.size_bytes = await size
        await file

    async def _begin(self, block: bytes, file: int) -> None:
        """Take the first block in, which somebody waits for: no detour through other threads."""
        _write(file, block)
        self._bytes = len(block)
        if self._bytes < self.size_bytes:  # the last byte waits for the digest
            self.beginning = block
        self._announce()
        await asyncio.sleep(0)  # Those who wait have it now, before anything else is done.
        self._sha.update(block)

    def _announce(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


async def _create(path: str) -> int:
    """Return a new file. It may take longer than the rest of the way of the first bytes."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


async def _write_beside(file: int, block: bytes) -> None:
    """Write on another thread, to the end however often cancelled: then the file is closed."""
    writing = asyncio.ensure_future(asyncio.to_thread(_write, file, block))
    try:
        await asyncio.shield(writing)
    finally:
        while not writing.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait({writing})
        writing.exception()  # which is raised above, unless this was cancelled: then nobody asks


def _write(file: int, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[os.write(file, view) :]


def _told_again(error: Exception) -> Exception:
    """Return the error for one more who waits, without the traces of the others."""
    if isinstance(error, StoreUnavailableError):
        return type(error)(error.detail)
    return StoreUnavailableError(f"The object cannot be fetched: {error}")
