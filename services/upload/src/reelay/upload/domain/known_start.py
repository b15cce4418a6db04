"""Compares the beginning of a file with what is stored of it."""

import hashlib
from collections.abc import Sequence
from hmac import compare_digest

from reelay.upload.domain.remote import FileChangedError


class KnownStart:
    """Takes the bytes that are known off a stream.

    `pieces` are the sizes and SHA-256 digests of what is stored, in order.
    """

    def __init__(self, pieces: Sequence[tuple[int, bytes]] = ()) -> None:
        self._pieces = list(pieces)
        self._hash = hashlib.sha256()
        self._seen_bytes = 0

    @property
    def passed(self) -> bool:
        """Whether all known bytes came."""
        return not self._pieces

    def strip(self, block: bytes) -> bytes:
        """Return what of the next `block` is new; raise FileChangedError."""
        while block and self._pieces:
            size_bytes, digest = self._pieces[0]
            known = block[: size_bytes - self._seen_bytes]
            self._hash.update(known)
            self._seen_bytes += len(known)
            block = block[len(known) :]
            if self._seen_bytes == size_bytes:
                if not compare_digest(self._hash.digest(), digest):
                    raise FileChangedError
                self._pieces.pop(0)
                self._hash, self._seen_bytes = hashlib.sha256(), 0
        return block
