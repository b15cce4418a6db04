"""Objects of a filesystem store: the files of the store themselves; small ones from memory."""

import asyncio
import errno
import os
import stat
from functools import lru_cache

from reelay.common.storage import ObjectStore, StoreUnavailableError
from reelay.content_api.adapters.small_objects import SMALL_BYTES, SmallObjects
from reelay.content_api.domain.names import below
from reelay.content_api.domain.ports import MadeAgain, StoredFile

ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}


class LocalFiles:
    """Finds regular files below the store's directory; never follows a symbolic link."""

    def __init__(self, store: ObjectStore, memory_bytes: int) -> None:
        """`store` must have local paths."""

        @lru_cache(maxsize=8192)
        def path_of(key: str) -> str:
            return str(store.local_path(key))

        self._path_of = path_of
        self._small = SmallObjects(memory_bytes)
        self._seen: dict[str, os.stat_result] = {}
        self._reading: dict[str, asyncio.Future[None]] = {}

    def peek(self, key: str) -> StoredFile | None:
        """See Files."""
        small = self._small.get(key)
        if small is not None:
            if self._is_still(small.path, self._seen[key]):
                return small
            self._forget(key)
        found = self._look(key)
        if found is None:
            return None
        file, status = found
        if status.st_size <= SMALL_BYTES:
            self._read_soon(key, file, status)
        return file

    def anticipate(self, key: str) -> None:
        """See Files. There is nothing to wait for."""

    async def find(self, key: str) -> StoredFile | None:
        """See Files."""
        return self.peek(key)

    async def exists(self, key: str) -> bool:
        """See Files."""
        return self._look(key) is not None

    def when_made_again(self, tell: MadeAgain) -> None:
        """See Files. Nothing is compared here: what the store has is what is sent."""

    def forget(self, package_id: str) -> None:
        """See Files."""
        for key in self._small.below(below(package_id)):
            self._forget(key)

    @staticmethod
    def _is_still(path: str, was: os.stat_result) -> bool:
        """Tell whether a name still leads to the file that was read: one system call (1 us)."""
        try:
            return _same(os.stat(path), was)
        except OSError:
            return False

    def _look(self, key: str) -> tuple[StoredFile, os.stat_result] | None:
        """Return the file of an object.

        The kernel's own name of what was opened is compared with the name that was asked for:
        four system calls (4 us) see a link in any component, where `realpath` takes 20 us.
        """
        path = self._path_of(key)
        try:
            descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in ABSENT:
                return None
            raise StoreUnavailableError(f"The object store cannot be read: {error}") from error
        try:
            status = os.fstat(descriptor)
            real = os.readlink(f"/proc/self/fd/{descriptor}")
        finally:
            os.close(descriptor)
        if real != path or not stat.S_ISREG(status.st_mode):
            return None
        return StoredFile(path, status.st_size), status

    def _read_soon(self, key: str, file: StoredFile, status: os.stat_result) -> None:
        """Read a small file into memory beside the answer that its path is good enough for."""
        if key not in self._reading:
            task = self._reading[key] = asyncio.ensure_future(self._read(key, file, status))
            task.add_done_callback(lambda _: self._reading.pop(key))

    async def _read(self, key: str, file: StoredFile, was: os.stat_result) -> None:
        content = await asyncio.to_thread(_content, file.path, was)
        if content is not None:
            self._seen[key] = was
            for dropped in self._small.put(key, StoredFile(file.path, len(content), content)):
                self._seen.pop(dropped, None)

    def _forget(self, key: str) -> None:
        self._seen.pop(key, None)
        self._small.drop(key)


def _content(path: str, was: os.stat_result) -> bytes | None:
    """Return a file's bytes, unless another file lies there by now. Blocks."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    with open(descriptor, "rb") as file:
        content = file.read(SMALL_BYTES + 1)
        return content if _same(os.fstat(descriptor), was) else None


def _same(one: os.stat_result, other: os.stat_result) -> bool:
    """Tell whether two looks saw the same bytes of the same file."""
    return (one.st_ino, one.st_dev, one.st_size, one.st_mtime_ns) == (
        other.st_ino, other.st_dev, other.st_size, other.st_mtime_ns
    )  # fmt: skip
