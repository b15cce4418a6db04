"""Folders for a moment's files: who is killed leaves none behind for ever.

A folder's maker holds a lock on it (flock(2)), which ends with the process, however it ends. What
nobody holds is removed by whoever sweeps next, also where process ids tell nothing, as in
containers that share a disk.
"""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "reelay-scratch-"
FRESH_S = 2.0
"""A folder so young may be one whose maker has not locked it yet."""


@contextmanager
def scratch(purpose: str) -> Iterator[Path]:
    """Yield a new empty folder that is removed with all that is in it when the block ends."""
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{purpose}-"))
    try:
        with _opened(folder) as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep_scratch() -> int:
    """Remove the folders of processes that were killed; return how many."""
    swept = 0
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):  # gone, another user's, or in use
            if time.time() - folder.stat().st_mtime < FRESH_S:
                continue
            with _opened(folder) as descriptor:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
                swept += 1
    return swept


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
