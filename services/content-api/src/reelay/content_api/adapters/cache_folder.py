"""The folder of a cache: one process's own, kept between its runs, with names that tell digests."""

import fcntl
import hashlib
import os
import re
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

PREFIX = "reelay-content-"
MAX_FOLDERS = 64
FORGOTTEN_S = 24 * 3600.0
"""A folder that no process has used for so long is removed."""
NAME = re.compile(r"([0-9a-f]{64})-([0-9]{1,15})-([0-9a-f]{64})")
HASH_BYTES = 1024 * 1024

log = structlog.get_logger()


class NoCacheFolderError(Exception):
    """No folder for the cache can be used below the directory that the settings name."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A complete file of a cache, as its name describes it."""

    name: str
    path: str
    size_bytes: int
    sha256: str


class CacheFolder:
    """A folder with complete objects, unfinished ones, pipes and files made from packages.

    Locked as long as the process lives: processes that share a directory get folders of their own,
    and one that starts again finds what it left. Folders that somebody else could write to are
    never used.
    """

    def __init__(self, directory: Path, store_url: str) -> None:
        """Lock a folder below `directory` for objects of one store; raise NoCacheFolderError."""
        place = hashlib.sha256(store_url.rpartition("@")[2].encode()).hexdigest()[:12]
        _remove_forgotten(directory)
        for number in range(MAX_FOLDERS):
            self.path = directory / f"{PREFIX}{place}-{number}"
            lock = _lock(self.path)
            if lock is not None:
                break
        else:
            raise NoCacheFolderError(f"{directory} has no room for a folder of this process")
        self._lock = lock
        self.objects = self.path / "objects"
        self.unfinished = self.path / "unfinished"
        self.pipes = self.path / "pipes"
        self.derived = self.path / "derived"
        for temporary in (self.unfinished, self.pipes, self.derived):
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir()
        self.objects.mkdir(exist_ok=True)

    def close(self) -> None:
        """Give the folder back; what is complete stays for the next process."""
        os.close(self._lock)

    def left(self) -> Iterator[Kept]:
        """Yield the complete files that earlier processes left, those used longest ago first.

        Anything else among them is removed.
        """
        found: list[tuple[float, Kept]] = []
        for entry in os.scandir(self.objects):
            status = entry.stat(follow_symlinks=False)
            name = NAME.fullmatch(entry.name)
            regular = stat.S_ISREG(status.st_mode)
            if name and regular and status.st_size == int(name[2]):
                found.append((status.st_mtime, Kept(name[1], entry.path, int(name[2]), name[3])))
            else:
                remove(entry.path)
        for _, kept in sorted(found, key=lambda item: item[0]):
            yield kept

    def keep(self, unfinished: str, key: str, size_bytes: int, sha256: str) -> Kept:
        """Give a complete file its name."""
        name = name_of(key)
        path = self.objects / f"{name}-{size_bytes}-{sha256}"
        os.rename(unfinished, path)
        return Kept(name, str(path), size_bytes, sha256)


def name_of(key: str) -> str:
    """Return the name of an object in a cache."""
    return hashlib.sha256(key.encode()).hexdigest()


def remove(path: str) -> None:
    """Remove a file; that it is not there is no error."""
    with suppress(OSError):
        os.unlink(path)


def undamaged(kept: Kept) -> bool:
    """Tell whether a file still has the bytes that its name promises. Blocks while it reads."""
    sha, size = hashlib.sha256(), 0
    try:
        with open(kept.path, "rb", buffering=0) as file:
            while block := file.read(HASH_BYTES):
                sha.update(block)
                size += len(block)
    except OSError:
        return False
    return size == kept.size_bytes and sha.hexdigest() == kept.sha256


def _lock(folder: Path) -> int | None:
    """Make and lock a folder; None when somebody else has it or could write to it."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    status = os.fstat(lock)
    if status.st_uid == os.geteuid() and not status.st_mode & 0o022:
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.utime(lock)
            return lock
    os.close(lock)
    return None


def _remove_forgotten(directory: Path) -> None:
    """Remove folders whose processes ended long ago; a lock ends with its process."""
    for folder in directory.glob(f"{PREFIX}*"):
        with suppress(OSError):
            if time.time() - folder.lstat().st_mtime < FORGOTTEN_S:
                continue
            lock = _lock(folder)
            if lock is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)
