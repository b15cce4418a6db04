"""Boxes of ISO media files (ISO/IEC 14496-12, 4.2): found in bytes, and made."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from reelay.common.errors import ReelayError

HEAD_BYTES = 8
LARGE_HEAD_BYTES = 16
UINT32_MAX = 0xFFFFFFFF


class DamagedSegmentError(ReelayError):
    """A segment of this video is damaged; `reelay verify` tells more."""

    problem = "damaged-segment"


@dataclass(frozen=True, slots=True)
class Box:
    """A box: its four-character type, and where it and its payload lie."""

    kind: bytes
    start: int
    payload: int
    end: int


def box_at(data: bytes, position: int, end: int) -> Box:
    """Return the box that begins at `position`, of which `data` must have the head.

    Raises DamagedSegmentError when there is none that ends by `end`.
    """
    if position + HEAD_BYTES > min(end, len(data)):
        raise DamagedSegmentError
    size, kind = struct.unpack_from(">I4s", data, position)
    head = HEAD_BYTES
    if size == 1:
        head = LARGE_HEAD_BYTES
        if position + head > len(data):
            raise DamagedSegmentError
        (size,) = struct.unpack_from(">Q", data, position + HEAD_BYTES)
    if size < head or position + size > end:
        raise DamagedSegmentError
    return Box(kind, position, position + head, position + size)


def boxes(data: bytes, start: int, end: int) -> Iterator[Box]:
    """Yield the boxes that fill the bytes [start, end)."""
    while start < end:
        found = box_at(data, start, end)
        yield found
        start = found.end


def children(data: bytes, parent: Box) -> dict[bytes, Box]:
    """Return the first box of each type inside `parent`."""
    found: dict[bytes, Box] = {}
    for child in boxes(data, parent.payload, parent.end):
        found.setdefault(child.kind, child)
    return found


def required(found: dict[bytes, Box], kind: bytes) -> Box:
    """Return the box of a type; raise DamagedSegmentError when there is none."""
    if kind not in found:
        raise DamagedSegmentError
    return found[kind]


def fields(form: str, data: bytes, position: int, end: int) -> tuple[int, ...]:
    """Unpack big-endian integers; raise DamagedSegmentError unless they end by `end`."""
    if position + struct.calcsize(">" + form) > min(end, len(data)):
        raise DamagedSegmentError
    return struct.unpack_from(">" + form, data, position)


def box(kind: bytes, *payload: bytes) -> bytes:
    """Return a box of a few megabytes at most."""
    body = b"".join(payload)
    return struct.pack(">I4s", HEAD_BYTES + len(body), kind) + body


def full_box(kind: bytes, version: int, flags: int, *payload: bytes) -> bytes:
    """Return a box with version and flags (4.2.2)."""
    return box(kind, (version << 24 | flags).to_bytes(4, "big"), *payload)
