"""Objects of a remote store: copies in a local directory, as many as fit.

Granian sends files with backpressure; bytes given to an RSGI stream it takes without limit and
keeps in memory until a slow client has read them (2.8.7; emmett-framework/granian#898 mended it
for ASGI and WSGI only). So an object is copied to a file first, once for all who ask for it.
"""

import asyncio
import fcntl
import itertools
import os
import shutil
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from reelay.common.storage import ObjectMissingError, ObjectStore, StoreUnavailableError
from reelay.content_api.domain.ports import StoredFile

RECHECK_S = 60.0
"""A copy is served this long without asking the store whether the object was deleted."""
KEEP_S = 10.0
"""A copy used this recently is never dropped: the server may not have opened it yet."""
CONCURRENT_COPIES = 32
PREFIX = "reelay-content-"

log = structlog.get_logger()


@dataclass(slots=True)
class _Copy:
    file: StoredFile
    checked_at_s: float
    used_at_s: float


class ObjectCache:
    """Copies of immutable objects; those used longest ago are dropped first."""

    def __init__(
        self,
        store: ObjectStore,
        directory: Path,
        max_bytes: int,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Use a new directory below `directory`; `close` removes it.

        `now` returns seconds of a clock that never goes back.
        """
        self._now = now
        self._store = store
        _remove_orphans(directory)
        self._directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=directory))
        self._lock = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._max_bytes = max_bytes
        self._size_bytes = 0
        self._copies: OrderedDict[str, _Copy] = OrderedDict()
        self._copying: dict[str, asyncio.Task[StoredFile | None]] = {}
        self._slots = asyncio.Semaphore(CONCURRENT_COPIES)
        self._numbers = itertools.count()

    def peek(self, key: str) -> StoredFile | None:
        """See Files."""
        copy = self._copies.get(key)
        now = self._now()
        if copy is None or now - copy.checked_at_s > RECHECK_S:
            return None
        if not os.path.exists(copy.file.path):
            # Somebody cleaned the directory.
            self._drop(key)
            return None
        copy.used_at_s = now
        self._copies.move_to_end(key)
        return copy.file

    async def find(self, key: str) -> StoredFile | None:
        """See Files. Several calls for one object share one copy."""
        if file := self.peek(key):
            return file
        task = self._copying.get(key)
        if task is None:
            task = asyncio.create_task(self._refresh(key))
            self._copying[key] = task
            task.add_done_callback(lambda _: self._copying.pop(key))
        return await asyncio.shield(task)

    def close(self) -> None:
        """Remove all copies."""
        for task in self._copying.values():
            task.cancel()
        shutil.rmtree(self._directory, ignore_errors=True)
        os.close(self._lock)

    async def _refresh(self, key: str) -> StoredFile | None:
        async with self._slots:
            copy = self._copies.get(key)
            if copy is None:
                return await self._copy(key)
            try:
                await self._store.head(key)
            except ObjectMissingError:
                self._drop(key)
                return None
            except StoreUnavailableError as error:
                # The bytes are right all the same.
                log.warning("serving a copy without asking the store", error=repr(error)[:200])
            copy.checked_at_s = self._now()
            return self.peek(key) or await self._copy(key)

    async def _copy(self, key: str) -> StoredFile | None:
        path = self._directory / str(next(self._numbers))
        try:
            size = await self._write(key, path)
        except ObjectMissingError:
            return None
        except OSError as error:
            raise StoreUnavailableError(f"The cache cannot be written: {error}") from error
        file = StoredFile(str(path), size)
        now = self._now()
        self._copies[key] = _Copy(file, now, now)
        self._size_bytes += size
        self._drop_old(now)
        return file

    async def _write(self, key: str, path: Path) -> int:
        size = 0
        file = await asyncio.to_thread(path.open, "wb", 0)
        try:
            async for block in self._store.read(key):
                await asyncio.to_thread(file.write, block)
                size += len(block)
        except BaseException:
            os.unlink(path)
            raise
        finally:
            file.close()
        return size

    def _drop_old(self, now: float) -> None:
        while self._size_bytes > self._max_bytes:
            key, copy = next(iter(self._copies.items()))
            if now - copy.used_at_s < KEEP_S:
                return
            self._drop(key)

    def _drop(self, key: str) -> None:
        copy = self._copies.pop(key, None)
        if copy is None:
            return
        self._size_bytes -= copy.file.size_bytes
        with suppress(OSError):
            Path(copy.file.path).unlink()


def _remove_orphans(directory: Path) -> None:
    """Remove what killed processes left; the lock of a directory ends with its process."""
    for orphan in directory.glob(PREFIX + "*"):
        with suppress(OSError):
            lock = os.open(orphan, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                # One that is being made has no lock yet.
                if time.time() - os.fstat(lock).st_mtime > KEEP_S:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(orphan, ignore_errors=True)
            finally:
                os.close(lock)
