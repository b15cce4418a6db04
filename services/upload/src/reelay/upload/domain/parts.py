"""Collects the bytes of one part and hashes them on the way."""

import hashlib

from reelay.common.identity import PART_SIZE_BYTES


class PartBuffer:
    """At most one part of a file, in memory.

    Bytes are hashed in order by whoever calls `hash_pending`, on any thread, never on two at once.
    """

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._hash = hashlib.sha256()
        self._hashed_blocks = 0
        self.size_bytes = 0
        self.pending_bytes = 0
        """Number of bytes that are not hashed yet."""

    @property
    def full(self) -> bool:
        """Whether the part is complete."""
        return self.size_bytes == PART_SIZE_BYTES

    def add(self, block: bytes) -> bytes:
        """Take as much of `block` as the part has room for; return the rest."""
        room = PART_SIZE_BYTES - self.size_bytes
        taken, rest = (block, b"") if len(block) <= room else (block[:room], block[room:])
        if taken:
            self._blocks.append(taken)
            self.size_bytes += len(taken)
            self.pending_bytes += len(taken)
        return rest

    def hash_pending(self) -> None:
        """Hash what was added since the last call."""
        for block in self._blocks[self._hashed_blocks :]:
            self._hash.update(block)
            self._hashed_blocks += 1
            self.pending_bytes -= len(block)

    def head(self, size_bytes: int) -> bytes:
        """Return the first bytes, at most `size_bytes`."""
        found = bytearray()
        for block in self._blocks:
            found += block[: size_bytes - len(found)]
            if len(found) == size_bytes:
                break
        return bytes(found)

    def joined(self) -> bytes:
        """Return all bytes; they are held once, not twice, afterwards."""
        if len(self._blocks) != 1:
            hashed_all = self._hashed_blocks == len(self._blocks)
            self._blocks = [b"".join(self._blocks)] if self._blocks else []
            # A half-hashed buffer would lose its place among the blocks.
            assert hashed_all, "hash_pending() comes first"
            self._hashed_blocks = len(self._blocks)
        return self._blocks[0] if self._blocks else b""

    def digest(self) -> bytes:
        """Return the SHA-256 of all bytes."""
        assert self.pending_bytes == 0, "hash_pending() comes first"
        return self._hash.digest()
