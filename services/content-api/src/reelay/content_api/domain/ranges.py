"""The Range field of a request (RFC 9110, section 14): which bytes of an object it asks for."""

import re
from dataclasses import dataclass
from enum import Enum

# More digits than any size has; longer numbers are not worth understanding.
RANGES = re.compile(r"bytes=([0-9, \t-]*)", re.IGNORECASE)
ONE = re.compile(r"([0-9]{0,40})-([0-9]{0,40})")
MAX_RANGES = 16
"""More are an attack (14.2) or a mistake, and the field is ignored."""
GAP_BYTES = 128
"""Ranges this close are answered as one: the head of a part would be longer (15.3.7.2)."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """The bytes [start, end) of an object."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """Number of bytes, at least one."""
        return self.end - self.start


class Part(Enum):
    """What is answered when it is not some ranges."""

    WHOLE = "the field is absent, malformed or asks for too much: it is ignored"
    UNSATISFIABLE = "no byte of the object is in any of the ranges"


def parse_range(field: str | None, size_bytes: int) -> list[ByteRange] | Part:
    """Return which bytes of an object of `size_bytes` the field asks for.

    Ranges that overlap or nearly touch become one, which then stands where the first of them stood;
    those that lie beyond the end are left out. A field that is malformed in one place is ignored.
    """
    found = RANGES.fullmatch(field) if field else None
    if found is None:
        return Part.WHOLE
    asked = [item.strip(" \t") for item in found.group(1).split(",")]
    asked = [item for item in asked if item]
    if not asked or len(asked) > MAX_RANGES:
        return Part.WHOLE
    ranges: list[ByteRange] = []
    for item in asked:
        one = _one(item, size_bytes)
        if one is Part.WHOLE:
            return Part.WHOLE
        if isinstance(one, ByteRange):
            ranges.append(one)
    return _joined(ranges) if ranges else Part.UNSATISFIABLE


def _one(item: str, size_bytes: int) -> ByteRange | Part:
    found = ONE.fullmatch(item)
    if found is None:
        return Part.WHOLE
    first, last = found.groups()
    if not first:
        return _suffix(int(last), size_bytes) if last else Part.WHOLE
    start = int(first)
    if last and int(last) < start:
        return Part.WHOLE
    if start >= size_bytes:
        return Part.UNSATISFIABLE
    return ByteRange(start, min(int(last) + 1, size_bytes) if last else size_bytes)


def _suffix(length: int, size_bytes: int) -> ByteRange | Part:
    if not length or not size_bytes:
        return Part.UNSATISFIABLE
    return ByteRange(max(0, size_bytes - length), size_bytes)


def _joined(ranges: list[ByteRange]) -> list[ByteRange]:
    joined: list[ByteRange] = []
    for new in ranges:
        near = [
            old for old in joined
            if new.start <= old.end + GAP_BYTES and old.start <= new.end + GAP_BYTES
        ]  # fmt: skip
        if near:
            place = joined.index(near[0])
            start = min(new.start, *(old.start for old in near))
            end = max(new.end, *(old.end for old in near))
            joined = [old for old in joined if old not in near]
            joined.insert(place, ByteRange(start, end))
        else:
            joined.append(new)
    return joined
