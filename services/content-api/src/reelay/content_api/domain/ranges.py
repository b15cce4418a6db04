"""The Range field of a request (RFC 9110, section 14.1.2): one range of bytes, or none."""

import re
from dataclasses import dataclass
from enum import Enum

# More digits than any size has; longer numbers are not worth understanding.
SINGLE_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,40})-([0-9]{0,40})[ \t]*", re.IGNORECASE)


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
    """What is answered when it is no single range."""

    WHOLE = "the field is absent, malformed or asks for several ranges: it is ignored"
    UNSATISFIABLE = "no byte of the object is in the range"


def parse_range(field: str | None, size_bytes: int) -> ByteRange | Part:
    """Return which bytes of an object of `size_bytes` the field asks for.

    Several ranges are answered with the whole object, as section 14.2 allows.
    """
    found = SINGLE_RANGE.fullmatch(field) if field else None
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
