"""Collects the bytes of one part and hashes them on the way."""

import hashlib
from typing import Protocol

from reelay.common.identity import PART_SIZE_BYTES


class Spool(Protocol):
    """A place outside of memory for the bytes of one part; gone with the process."""

    def write(self, block: bytes) -> None:
        """Append bytes."""
        ...

    def read_all(self) -> bytes:
        """Return all bytes."""
        ...

    def close(self) -> None:
        """Drop the bytes."""
        ...


class PartBuffer:
    """At most one part of a file: in memory, or in a spool where that is given.

    `add` and `cut_pending` belong to one thread. `digest_blocks` may run on another meanwhile, with
    what was cut, in order and never twice at once.
    """

    def __init__(self, spool: Spool | None = None) -> None:
        self._spool = spool
        self._blocks: list[bytes] = []
        self._pending: list[bytes] = []
        self._hash = hashlib.sha256()
        self.size_bytes = 0
        self.pending_bytes = 0
        """Number of bytes that were not cut yet."""

    @property
    def full(self) -> bool:
        """Whether the part is complete."""
        return self.size_bytes == PART_SIZE_BYTES

    @property
    def in_memory(self) -> bool:
        """Whether all bytes are kept in memory."""
        return self._spool is None

    def add(self, block: bytes) -> bytes:
        """Take as much of `block` as the part has room for; return the rest."""
        room = PART_SIZE_BYTES - self.size_bytes
        taken, rest = (block, b"") if len(block) <= room else (block[:room], block[room:])
        if taken:
            self._pending.append(taken)
            if self._spool is None:
                self._blocks.append(taken)
            self.size_bytes += len(taken)
            self.pending_bytes += len(taken)
        return rest

    def cut_pending(self) -> list[bytes]:
        """Return the blocks that were added since the last call; they are to be digested next."""
        pending, self._pending = self._pending, []
        self.pending_bytes = 0
        return pending

    def digest_blocks(self, blocks: list[bytes]) -> None:
        """Hash blocks, and spool them where they are not kept in memory."""
        for block in blocks:
            self._hash.update(block)
            if self._spool is not None:
                self._spool.write(block)

    def joined(self) -> bytes:
        """Return all bytes; where they are kept in memory they are held once afterwards."""
        assert self.pending_bytes == 0, "all is digested first"
        if self._spool is not None:
            return self._spool.read_all()
        if len(self._blocks) != 1:
            self._blocks = [b"".join(self._blocks)] if self._blocks else []
        return self._blocks[0] if self._blocks else b""

    def digest(self) -> bytes:
        """Return the SHA-256 of all bytes."""
        assert self.pending_bytes == 0, "all is digested first"
        return self._hash.digest()

    def close(self) -> None:
        """Drop all bytes."""
        self._blocks, self._pending = [], []
        if self._spool is not None:
            self._spool.close()
