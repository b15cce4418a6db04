"""The body of an answer: bytes of an object, and the heads between its parts."""

from collections.abc import Sequence
from dataclasses import dataclass

from reelay.content_api.domain.ranges import ByteRange

BOUNDARY = "reelay-5a1f0c6e9b7d4382"
"""Fixed: a reader finds the parts by their Content-Range, and answers stay the same everywhere."""


@dataclass(frozen=True, slots=True)
class Body:
    """What is sent: pieces that are bytes, or ranges of the object."""

    pieces: tuple[bytes | ByteRange, ...]
    content_type: str
    content_range: str | None = None

    @property
    def length(self) -> int:
        """Number of bytes."""
        return sum(len(p) if isinstance(p, bytes) else p.length for p in self.pieces)


def whole(content_type: str, size_bytes: int) -> Body:
    """Return the body with a whole object."""
    return Body((ByteRange(0, size_bytes),) if size_bytes else (), content_type)


def partial(content_type: str, size_bytes: int, ranges: Sequence[ByteRange]) -> Body:
    """Return the body of a 206 answer (RFC 9110, sections 15.3.7 and 14.6)."""
    if len(ranges) == 1:
        return Body((ranges[0],), content_type, _content_range(ranges[0], size_bytes))
    pieces: list[bytes | ByteRange] = []
    for part in ranges:
        head = (
            f"\r\n--{BOUNDARY}\r\nContent-Type: {content_type}\r\n"
            f"Content-Range: {_content_range(part, size_bytes)}\r\n\r\n"
        )
        pieces += [head.encode(), part]
    pieces.append(f"\r\n--{BOUNDARY}--\r\n".encode())
    return Body(tuple(pieces), f"multipart/byteranges; boundary={BOUNDARY}")


def _content_range(part: ByteRange, size_bytes: int) -> str:
    return f"bytes {part.start}-{part.end - 1}/{size_bytes}"
