"""Lists the files of a filesystem store: objects in order of their keys, and forgotten scraps."""

import os
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path

from reelay.common.storage.directories import Directories, store_errors
from reelay.common.storage.port import KEY, ObjectInfo, ObjectMissingError

BATCH = 256


def scan_tree(directories: Directories, prefix: str) -> Generator[list[ObjectInfo]]:
    """Yield the objects whose keys start with `prefix`, in order, in batches.

    At any time it remembers the directories on the way to one object and no more.
    """
    batch: list[ObjectInfo] = []
    for info in _walk(directories, prefix):
        batch.append(info)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def remove_older(folder: Path, before_s: float, suffix: str = "") -> int:
    """Remove a folder's files last written before this POSIX time; return how many had `suffix`."""
    removed = 0
    for entry in list(os.scandir(folder)):
        with suppress(FileNotFoundError):
            if entry.stat(follow_symlinks=False).st_mtime < before_s:
                os.unlink(entry.path)
                removed += Path(entry.name).suffix == suffix
    return removed


def _walk(directories: Directories, prefix: str) -> Generator[ObjectInfo]:
    folder, slash, start = prefix.rpartition("/")
    try:
        with store_errors(), directories.parent(f"{folder}{slash}*") as (directory, _):
            entries = _entries(directory, folder + slash, start)
    except ObjectMissingError:
        return
    for key, info in entries:
        if info is None:
            yield from _walk(directories, key)
        else:
            yield info


def _entries(directory: int, folder: str, start: str) -> list[tuple[str, ObjectInfo | None]]:
    """List a directory in order of keys; directories, whose keys end in a slash, without info.

    A directory sorts as `name/`: after `name-1` and `name.m4s`, as the keys below it do.
    """
    entries: list[tuple[str, ObjectInfo | None]] = []
    with os.scandir(directory) as found:
        for entry in found:
            key = folder + entry.name
            if not entry.name.startswith(start) or not KEY.fullmatch(key):
                continue
            if entry.is_dir(follow_symlinks=False):
                entries.append((f"{key}/", None))
            elif entry.is_file(follow_symlinks=False):
                with suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    entries.append((key, ObjectInfo(key, status.st_size, status.st_mtime)))
    return sorted(entries, key=lambda entry: entry[0])
