"""Takes ISO base media files apart (ISO/IEC 14496-12, section 4.2), also while they still grow."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from reelay.common.errors import TransientError

MAX_BOX_BYTES = 512 * 1024 * 1024
SHORT_HEADER = struct.Struct(">I4s")
LONG_HEADER = struct.Struct(">I4sQ")


class MalformedBoxError(TransientError):
    """FFmpeg wrote something that is no ISO base media file."""


@dataclass(frozen=True)
class Box:
    """One whole box; `data` includes its header."""

    kind: str
    data: bytes
    header_bytes: int

    @property
    def payload(self) -> bytes:
        """Return what follows the header."""
        return self.data[self.header_bytes :]

    def children(self) -> Iterator["Box"]:
        """Yield the boxes that a container box holds."""
        return split_boxes(self.payload)

    def child(self, kind: str) -> "Box":
        """Return the first child of that kind; raise MalformedBoxError when there is none."""
        for box in self.children():
            if box.kind == kind:
                return box
        raise MalformedBoxError(f"{self.kind} has no {kind}")


class BoxReader:
    """Yields top-level boxes as soon as their last byte was fed."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> Iterator[Box]:
        """Take bytes; yield the boxes that they complete. Raises MalformedBoxError."""
        self._pending += data
        while (box := _first_box(self._pending)) is not None:
            del self._pending[: len(box.data)]
            yield box


def split_boxes(data: bytes) -> Iterator[Box]:
    """Yield the boxes of `data`; raise MalformedBoxError when the last is not whole."""
    rest = memoryview(data)
    while rest:
        box = _first_box(rest)
        if box is None:
            raise MalformedBoxError("a box ends too early")
        yield box
        rest = rest[len(box.data) :]


def make_box(kind: str, payload: bytes) -> bytes:
    """Return a box with a 32-bit size."""
    return SHORT_HEADER.pack(SHORT_HEADER.size + len(payload), kind.encode("ascii")) + payload


def make_full_box(kind: str, version: int, flags: int, payload: bytes) -> bytes:
    """Return a box with version and flags (section 4.2.2)."""
    return make_box(kind, struct.pack(">I", version << 24 | flags) + payload)


def _first_box(data: bytearray | memoryview) -> Box | None:
    if len(data) < SHORT_HEADER.size:
        return None
    size, kind = SHORT_HEADER.unpack_from(data)
    header = SHORT_HEADER
    if size == 1:
        if len(data) < LONG_HEADER.size:
            return None
        header = LONG_HEADER
        _, _, size = LONG_HEADER.unpack_from(data)
    if not header.size <= size <= MAX_BOX_BYTES:
        raise MalformedBoxError(f"a box of {size} bytes")
    if len(data) < size:
        return None
    return Box(kind.decode("latin-1"), bytes(data[:size]), header.size)
