"""Directories under a root, walked without ever following a symbolic link out of it."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from reelay.common.storage.port import (
    InvalidKeyError,
    ObjectInfo,
    ObjectMissingError,
    StoreFullError,
    StoreRefusesError,
    StoreUnavailableError,
)

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
MISSING = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def store_errors() -> Iterator[None]:
    """Turn an operating system's error into the store's."""
    try:
        yield
    except PermissionError as error:
        raise StoreRefusesError(f"The object store failed: {error}") from error
    except OSError as error:
        if error.errno in FULL:
            raise StoreFullError from error
        raise StoreUnavailableError(f"The object store failed: {error}") from error


class Directories:
    """The directories in which objects lie, below one root."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextmanager
    def parent(self, key: str) -> Iterator[tuple[int, str]]:
        """Open the directory of an object; give its descriptor and the object's name in it.

        Raises ObjectMissingError when there is no such directory.
        """
        *names, name = key.split("/")
        descriptor = os.open(self.root, DIRECTORY)
        try:
            for component in names:
                with _missing(key):
                    inner = os.open(component, DIRECTORY, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = inner
            yield descriptor, name
        finally:
            os.close(descriptor)

    @contextmanager
    def durable_parent(self, key: str) -> Iterator[tuple[int, str]]:
        """Open the directory of an object, made where needed; at the end it survives a power cut.

        Every directory on the way is synchronised, as another process may just have made it; that
        costs next to nothing when nothing changed. Raises InvalidKeyError when an object lies where
        a directory is needed.
        """
        *names, name = key.split("/")
        descriptor = os.open(self.root, DIRECTORY)
        try:
            for component in names:
                inner = _enter(descriptor, component, key)
                os.fsync(descriptor)
                os.close(descriptor)
                descriptor = inner
            yield descriptor, name
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def prune(self, key: str) -> None:
        """Remove the directories of a key that are empty, the innermost first."""
        names = key.split("/")[:-1]
        while names:
            with suppress(ObjectMissingError), self.parent("/".join(names)) as (directory, name):
                try:
                    os.rmdir(name, dir_fd=directory)
                except FileNotFoundError:
                    pass
                except OSError:
                    return
            names.pop()


def _enter(directory: int, component: str, key: str) -> int:
    """Open a directory inside another, making it when it is absent."""
    while True:
        try:
            return os.open(component, DIRECTORY, dir_fd=directory)
        except FileNotFoundError:
            with suppress(FileExistsError):
                os.mkdir(component, dir_fd=directory)
        except OSError as error:
            if error.errno in MISSING:
                raise InvalidKeyError(f"{key} lies below {component}, no directory") from error
            raise


@contextmanager
def _missing(key: str) -> Iterator[None]:
    """Turn the errors of a name that leads nowhere, or to a symbolic link, into the store's."""
    try:
        yield
    except OSError as error:
        if error.errno in MISSING:
            raise ObjectMissingError(f"There is no object {key}") from error
        raise


def describe(key: str, directory: int, name: str) -> ObjectInfo:
    """Describe an object; raise ObjectMissingError when there is none."""
    with _missing(key):
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    if not stat.S_ISREG(status.st_mode):
        raise ObjectMissingError(f"{key} is no object")
    return ObjectInfo(key, status.st_size, status.st_mtime)


def open_object(key: str, directory: int, name: str) -> int:
    """Open an object for reading; raise ObjectMissingError when there is none."""
    describe(key, directory, name)
    with _missing(key):
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)


def link(file: Path, directory: int, name: str) -> bool:
    """Give `file` a second name; return whether that was free.

    Raises InvalidKeyError when the name is a directory's or a symbolic link's.
    """
    try:
        os.link(file, name, dst_dir_fd=directory, follow_symlinks=False)
    except FileExistsError as error:
        with suppress(FileNotFoundError):
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
            if not stat.S_ISREG(status.st_mode):
                raise InvalidKeyError(f"{name} is taken by something that is no object") from error
        return False
    return True
