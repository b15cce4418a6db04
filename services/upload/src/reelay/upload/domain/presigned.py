"""A presigned upload: its client announces the digest of each part, and sends it to the store."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from reelay.common.identity import PART_SIZE_BYTES
from reelay.upload.domain.errors import NoSuchPartError, PartsMissingError
from reelay.upload.domain.upload import Part, Upload

NAMED = 10
"""So many missing parts are named to a client."""


@dataclass(frozen=True)
class Announcement:
    """What a client says of a part."""

    number: int
    """Counted from 1."""
    sha256: bytes


class Announcements(Protocol):
    """What clients announced, and what was found stored. Every method is one transaction."""

    async def announce(self, upload: Upload, announced: Sequence[Announcement]) -> None:
        """Note the digests of parts.

        Raises OtherDigestError when one was announced otherwise, and then notes none, and
        OvertakenError when the upload ended.
        """
        ...

    async def confirm(self, upload: Upload, parts: Sequence[Part]) -> Upload:
        """Note that all parts are stored, under these tags; return the upload as whole.

        Raises OvertakenError when it ended.
        """
        ...


def number_of_parts(size_bytes: int) -> int:
    """Return how many parts a file has."""
    return -(-size_bytes // PART_SIZE_BYTES)


def size_of_part(size_bytes: int, number: int) -> int:
    """Return how many bytes a part has; raise NoSuchPartError."""
    last = number_of_parts(size_bytes)
    if not 1 <= number <= last:
        raise NoSuchPartError(f"A file of {size_bytes} bytes has parts 1 to {last}, not {number}.")
    return PART_SIZE_BYTES if number < last else size_bytes - (last - 1) * PART_SIZE_BYTES


def check_announcements(size_bytes: int, announced: Sequence[Announcement]) -> None:
    """Raise NoSuchPartError unless each is of another part of the file."""
    seen: set[int] = set()
    for part in announced:
        size_of_part(size_bytes, part.number)
        if part.number in seen:
            raise NoSuchPartError(f"Part {part.number} is announced twice in one request.")
        seen.add(part.number)


def check_none_missing(size_bytes: int, found: Collection[int]) -> None:
    """Raise PartsMissingError, which names the first, unless all parts of a file are `found`."""
    every = range(1, number_of_parts(size_bytes) + 1)
    missing = [number for number in every if number not in found]
    if missing:
        names = ", ".join(map(str, missing[:NAMED])) + (", …" if len(missing) > NAMED else "")
        raise PartsMissingError(f"{len(missing)} parts are not stored yet: {names}.")
