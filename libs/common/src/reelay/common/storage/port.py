"""What Reelay needs of an object store, and the contract that every adapter keeps."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from reelay.common.errors import NotFoundError, PermanentError, TransientError

KEY = re.compile(r"[a-z0-9][a-zA-Z0-9._-]*(/[a-zA-Z0-9_-][a-zA-Z0-9._-]*)*")
MAX_KEY_CHARS = 512


class InvalidKeyError(PermanentError):
    """An object key is relative, made of letters, digits, '.', '_' and '-', without dot segments."""


class ObjectMissingError(NotFoundError):
    """No object is stored under this key."""


class StoreUnavailableError(TransientError):
    """The object store does not answer, or is full."""


@dataclass(frozen=True)
class ObjectInfo:
    """A stored object."""

    key: str
    size_bytes: int
    modified_at_s: float
    """POSIX time at which the object was stored."""


@dataclass(frozen=True)
class PutResult:
    """Whether this call stored the object, or found it there already."""

    info: ObjectInfo
    created: bool


def check_key(key: str) -> str:
    """Return `key` when it is well-formed.

    Raises InvalidKeyError otherwise, so that no key reaches outside the store.
    """
    if len(key) > MAX_KEY_CHARS or not KEY.fullmatch(key):
        raise InvalidKeyError(f"{key[:100]!r} is not an object key")
    return key


class ObjectStore(Protocol):
    """Objects under slash-separated keys, each written once and then only read or deleted.

    Every method raises InvalidKeyError for a malformed key and StoreUnavailableError when the
    store cannot be reached or is full.
    """

    async def put(self, key: str, data: bytes | Path) -> PutResult:
        """Store `data` (or the file's bytes) under `key`, all or nothing, unless it is taken.

        When an object exists it is left as it is, and its info is returned with `created` false.
        The object is durable when the call returns.
        """
        ...

    async def head(self, key: str) -> ObjectInfo:
        """Describe an object; raise ObjectMissingError when there is none."""
        ...

    def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Stream the bytes [start, end) of an object; `end` None reads to its end.

        Raises ObjectMissingError on the first step when there is none.
        """
        ...

    async def delete(self, key: str) -> None:
        """Remove an object; removing one that is not there is no error."""
        ...

    def scan(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        """Yield the objects whose keys start with `prefix`, in order of their keys."""
        ...

    def local_path(self, key: str) -> Path | None:
        """Return where the object lies on this machine, or None when it does not.

        A shortcut for readers of whole files; the path may not exist.
        """
        ...

    async def begin_parts(self, key: str) -> str:
        """Begin an object that is written in parts; return the name of this attempt."""
        ...

    async def put_part(self, key: str, attempt: str, number: int, data: bytes) -> str:
        """Store part `number` (from 1; all but the last of identity.PART_SIZE_BYTES).

        Returns the part's tag. Storing a part again replaces it. Durable on return.
        """
        ...

    async def complete_parts(self, key: str, attempt: str, tags: list[str]) -> PutResult:
        """Join the parts 1..n, whose tags are given in order, to the object, all or nothing."""
        ...

    async def abort_parts(self, key: str, attempt: str) -> None:
        """Drop an attempt and its parts; dropping one that is not there is no error."""
        ...

    async def check(self) -> None:
        """Return when the store can be used; raise StoreUnavailableError otherwise."""
        ...


async def read_all(store: ObjectStore, key: str) -> bytes:
    """Return a whole small object; raise ObjectMissingError when there is none."""
    return b"".join([block async for block in store.read(key)])
