"""Collects the bytes of one part and hashes them on the way."""

import hashlib
from typing import Protocol

from reelay.common.identity import PART_SIZE_BYTES
from reelay.common.storage.port import Bytes


class Spool(Protocol):
    """A place outside of memory for the bytes of one part; gone with the process."""

    def write(self, block: Bytes) -> None:
        """Append bytes."""
        ...

    def read_into(self, room: memoryview) -> None:
        """Fill `room` with the first bytes."""
        ...

    def close(self) -> None:
        """Drop the bytes."""
        ...


class PartBuffer:
    """At most one part of a file: in lent memory, or in a spool where there is none.

    `add` and `cut_pending` belong to one thread. `digest_blocks` may run on another meanwhile, with
    what was cut, in order and never twice at once.
    """

    def __init__(self, place: bytearray | Spool) -> None:
        """Keep the bytes in `place`; a bytearray has room for a part."""
        self.memory = place if isinstance(place, bytearray) else None
        """What was lent, when all bytes are kept in memory."""
        self._room = memoryview(place) if isinstance(place, bytearray) else None
        self._spool = place if not isinstance(place, bytearray) else None
        self._pending: list[bytes] = []
        self._hash = hashlib.sha256()
        self.size_bytes = 0
        self.pending_bytes = 0
        """Number of bytes that were not cut yet."""

    @property
    def full(self) -> bool:
        """Whether the part is complete."""
        return self.size_bytes == PART_SIZE_BYTES

    def add(self, block: bytes) -> bytes:
        """Take as much of `block` as the part has room for; return the rest."""
        room = PART_SIZE_BYTES - self.size_bytes
        taken, rest = (block, b"") if len(block) <= room else (block[:room], block[room:])
        if self._room is None:
            self._pending.append(taken)
        else:
            self._room[self.size_bytes : self.size_bytes + len(taken)] = taken
        self.size_bytes += len(taken)
        self.pending_bytes += len(taken)
        return rest

    def cut_pending(self) -> list[Bytes]:
        """Return what was added since the last call; it is to be digested next."""
        start, self.pending_bytes = self.size_bytes - self.pending_bytes, 0
        if self._room is not None:
            return [self._room[start : self.size_bytes]]
        pending, self._pending = list[Bytes](self._pending), []
        return pending

    def digest_blocks(self, blocks: list[Bytes]) -> None:
        """Hash blocks, and spool them where they are not kept in memory."""
        for block in blocks:
            self._hash.update(block)
            if self._spool is not None:
                self._spool.write(block)

    def lend(self) -> memoryview:
        """Return all bytes of a buffer in memory."""
        assert self._room is not None
        return self._room[: self.size_bytes]

    def read_into(self, room: bytearray) -> memoryview:
        """Return all bytes of a spooled buffer, read into `room`."""
        assert self._spool is not None
        assert self.pending_bytes == 0, "all is digested first"
        data = memoryview(room)[: self.size_bytes]
        self._spool.read_into(data)
        return data

    def digest(self) -> bytes:
        """Return the SHA-256 of all bytes."""
        assert self.pending_bytes == 0, "all is digested first"
        return self._hash.digest()

    def close(self) -> None:
        """Drop all bytes."""
        self._pending = []
        if self._spool is not None:
            self._spool.close()
