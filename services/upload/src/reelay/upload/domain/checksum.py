"""Upload-Checksum (tus 1.0, section Checksum): `algorithm base64digest` of one request's bytes."""

import base64
import binascii
import hashlib
from hmac import compare_digest

from reelay.common.errors import InvalidRequestError
from reelay.common.storage.port import Bytes
from reelay.upload.domain.errors import ChecksumMismatchError

ALGORITHMS = ("sha1", "sha256")


class Checksum:
    """What a client says its bytes hash to, and what they do."""

    def __init__(self, algorithm: str, expected: bytes) -> None:
        self.algorithm = algorithm
        self._expected = expected
        # The client chose it against faults of the line, not against forgers.
        self._found = hashlib.new(algorithm, usedforsecurity=False)

    def update(self, block: Bytes) -> None:
        """Take the next bytes."""
        self._found.update(block)

    def check(self) -> None:
        """Raise ChecksumMismatchError unless the bytes are the announced ones."""
        if not compare_digest(self._found.digest(), self._expected):
            raise ChecksumMismatchError


def parse_checksum(header: str) -> Checksum:
    """Return the checksum that a header announces; raise InvalidRequestError."""
    algorithm, _, encoded = header.strip().partition(" ")
    if algorithm not in ALGORITHMS:
        known = " and ".join(ALGORITHMS)
        raise InvalidRequestError(
            f"Upload-Checksum: {algorithm[:20]!r} is not known here; {known} are."
        )
    try:
        expected = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequestError("Upload-Checksum: the digest is not base64.") from error
    if len(expected) != hashlib.new(algorithm, usedforsecurity=False).digest_size:
        raise InvalidRequestError(f"Upload-Checksum: the digest has not the length of {algorithm}.")
    return Checksum(algorithm, expected)
