"""What Reelay needs of an object store, and the contract that every adapter keeps."""

import re
from collections.abc import AsyncIterator, Callable, Container, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Protocol

from reelay.common.errors import (
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    PermanentError,
    TransientError,
)
from reelay.common.identity import MAX_PARTS, PART_SIZE_BYTES

Bytes = bytes | memoryview

KEY = re.compile(r"[a-z0-9][a-zA-Z0-9._-]*(/[a-zA-Z0-9_-][a-zA-Z0-9._-]*)*")
MAX_KEY_CHARS = 512
MAX_KEY_COMPONENT_CHARS = 255
"""Longest name between two slashes: the limit of Linux filesystems, and of SeaweedFS."""


class InvalidKeyError(PermanentError):
    """An object key is relative, of letters, digits, '.', '_' and '-', without dot segments."""


class ObjectMissingError(NotFoundError):
    """No object is stored under this key."""


class AttemptMissingError(NotFoundError):
    """This attempt to store an object in parts was completed, dropped or swept."""


class InvalidPartsError(PermanentError):
    """The parts do not make an object: one is missing, replaced, or of the wrong size."""


class StoreUnavailableError(TransientError):
    """The object store does not answer, or is full."""


class StoreRefusesError(StoreUnavailableError):
    """The object store does not let this service do that."""


class StoreFullError(StoreUnavailableError):
    """The object store has no room left; free some, or give it more."""

    status = HTTPStatus.INSUFFICIENT_STORAGE
    problem = "store-full"


class InvalidLinkError(ForbiddenError):
    """This link was not signed by the store, allows something else, or is over."""


class WrongDigestError(InvalidRequestError):
    """The bytes that were sent are not those that the link was signed for."""


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


@dataclass(frozen=True)
class PartInfo:
    """A stored part of an unfinished object."""

    number: int
    size_bytes: int
    tag: str


@dataclass(frozen=True)
class SignedRequest:
    """A request that whoever holds it may make until it expires, without any other credentials."""

    method: str
    url: str
    """Absolute, or (filesystem) a path on the server that gave it."""
    headers: dict[str, str]
    """To be sent exactly so: they are signed too."""
    expires_at_s: float
    """POSIX time."""


def check_key(key: str) -> str:
    """Return `key` when it is well-formed.

    Raises InvalidKeyError otherwise, so that no key reaches outside the store.
    """
    if len(key) > MAX_KEY_CHARS or not KEY.fullmatch(key):
        raise InvalidKeyError(f"{key[:100]!r} is not an object key")
    if len(key) > MAX_KEY_COMPONENT_CHARS < max(map(len, key.split("/"))):
        raise InvalidKeyError(f"{key[:100]!r}... has a name that is too long")
    return key


def check_prefix(prefix: str) -> str:
    """Return `prefix` when keys can start with it (all do with the empty one).

    Raises InvalidKeyError otherwise.
    """
    if prefix and not prefix.endswith("/"):
        check_key(prefix)
    elif prefix:
        check_key(prefix[:-1])
    return prefix


def check_part_number(number: int) -> None:
    """Raise InvalidPartsError unless a part can have this number."""
    if not 1 <= number <= MAX_PARTS:
        raise InvalidPartsError(f"Part {number} is not one of 1 to {MAX_PARTS}")


def check_part(number: int, data: Bytes) -> None:
    """Raise InvalidPartsError unless `data` can be part `number`."""
    check_part_number(number)
    if not 0 < len(data) <= PART_SIZE_BYTES:
        raise InvalidPartsError(f"Part {number} has {len(data)} bytes, not 1 to {PART_SIZE_BYTES}")


class ObjectStore(Protocol):
    """Objects under slash-separated keys, each written once and then only read or deleted.

    Every method raises InvalidKeyError for a malformed key and StoreUnavailableError when the
    store cannot be reached, is full (then StoreFullError) or refuses this service what it asks for
    (StoreRefusesError). A key must not be the directory of another (`a` and `a/b`): adapters may
    refuse the second with InvalidKeyError.
    """

    async def put(self, key: str, data: Bytes | Path) -> PutResult:
        """Store `data` (or the file's bytes) under `key`, all or nothing, unless it is taken.

        When an object exists it is left as it is, and its info is returned with `created` false.
        The object is durable when the call returns. A call that was interrupted and tried again
        inside an adapter may report `created` false for an object that it stored itself.
        """
        ...

    async def head(self, key: str) -> ObjectInfo:
        """Describe an object; raise ObjectMissingError when there is none."""
        ...

    def anticipate(self, key: str, begun: Callable[[bytes], None]) -> None:
        """Hear that the whole object is going to be read at once; never waits.

        `begun` may be called, once, with the object's first bytes as soon as they are here; `read`
        yields them all the same.
        """
        ...

    def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Stream the bytes [start, end) of an object; `end` None reads to its end.

        A range beyond the object's end yields what there is. Raises ObjectMissingError on the
        first step when there is no object.
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

    async def begin_parts(self, key: str, *, signed: bool = False) -> str:
        """Begin an object that is written in parts; return the name of this attempt.

        Its parts come by `put_part`, or, when it is `signed`, all by requests of `presign_part`:
        S3 must know from the beginning whether digests come with them.
        """
        ...

    async def put_part(
        self, key: str, attempt: str, number: int, data: Bytes, sha256: bytes | None = None
    ) -> str:
        """Store part `number` (from 1; all but the last of identity.PART_SIZE_BYTES).

        Who has hashed `data` says so by `sha256`, for adapters that would do it again otherwise.
        Returns the part's tag. Storing a part again replaces it. Durable on return. Raises
        AttemptMissingError for an unknown attempt, InvalidPartsError for a wrong number or size.
        """
        ...

    async def list_parts(self, key: str, attempt: str) -> list[PartInfo]:
        """Return the parts that are stored, in order of their numbers.

        Raises AttemptMissingError for an unknown attempt.
        """
        ...

    async def complete_parts(
        self,
        key: str,
        attempt: str,
        tags: list[str],
        last: Bytes = b"",
        *,
        digests: Sequence[bytes] = (),
    ) -> PutResult:
        """Join the parts 1..n, whose tags are given in order, to the object, all or nothing.

        `last` is one part more, stored in the same step, which is faster than storing it before.
        `digests` are the SHA-256 of all parts, when these came by signed requests; else none.
        The attempt ends. When an object exists under the key, whether from this attempt or another,
        it is left as it is and its info is returned with `created` false. A tag stands for the
        bytes it was returned for, never for those of a later part of that number. Raises
        InvalidPartsError when there are no such parts, and AttemptMissingError when there is
        neither the attempt nor an object.
        """
        ...

    async def abort_parts(self, key: str, attempt: str) -> None:
        """Drop an attempt and its parts; dropping one that is not there is no error."""
        ...

    async def presign_part(
        self,
        key: str,
        attempt: str,
        number: int,
        sha256: str,
        expires_s: float,
        *,
        size_bytes: int,
    ) -> SignedRequest:
        """Let somebody else store part `number`, with these bytes and no others (SHA-256 in hex).

        `Content-Length`, which must be `size_bytes`, is signed without being among the headers:
        every client sends it by itself. The store refuses other bytes with status 400, and
        everything else that was not signed, or is too late, with 403. The tag is
        what `list_parts` says.
        A tag says nothing of the digest: let each number be signed for one digest only.
        """
        ...

    async def presign_get(self, key: str, expires_s: float) -> SignedRequest:
        """Let somebody else read an object, by ranges too (RFC 9110, section 14)."""
        ...

    async def sweep(self, older_than_s: float, keep: Container[str] = ()) -> int:
        """Drop what is older than this and was never finished; return how many.

        An attempt's age may count from its begin, however lately a part came: those that are still
        in use are to be named in `keep`, and stay whatever their age.
        """
        ...

    async def check(self) -> None:
        """Return when the store can be used; raise StoreUnavailableError otherwise."""
        ...

    async def aclose(self) -> None:
        """Give back what is held for reading, which is over: what is read afterwards may fail.

        Reads, and this, belong to one event loop.
        """
        ...


async def read_all(store: ObjectStore, key: str) -> bytes:
    """Return a whole small object; raise ObjectMissingError when there is none."""
    return b"".join([block async for block in store.read(key)])
