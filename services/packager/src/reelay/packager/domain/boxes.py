"""The few ISO BMFF boxes (ISO/IEC 14496-12) that are read or made alike after Shaka Packager."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from reelay.common.errors import PermanentError

CONTAINERS = {b"moov", b"trak", b"mdia", b"mvex", b"moof", b"traf"}


class MalformedBoxesError(PermanentError):
    """A packaged segment does not have the boxes that it must have."""


@dataclass(frozen=True)
class Box:
    """A box in a buffer: its four-character type, and where its payload lies."""

    kind: bytes
    payload: int
    end: int


@dataclass(frozen=True)
class FragmentFacts:
    """What a media segment says of itself, in its track's timescale."""

    decode_time: int
    samples: int


def walk(data: bytes | bytearray, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """Yield all boxes, those inside containers after their container."""
    position, end = start, len(data) if end is None else end
    while position < end:
        if end - position < 8:
            raise MalformedBoxesError
        size, kind = struct.unpack_from(">I4s", data, position)
        header = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, position + 8)
            header = 16
        if size < header or position + size > end:
            raise MalformedBoxesError
        yield Box(kind, position + header, position + size)
        if kind in CONTAINERS:
            yield from walk(data, position + header, position + size)
        position += size


def normalise_init(data: bytes, duration: int) -> bytes:
    """Return an init segment without times of day, with the planned `duration` in its `mehd`.

    `duration` in the movie timescale. Init segments of one rendition, made from any of its
    chunks, then are the same bytes.
    """
    result = bytearray(data)
    for box in walk(data):
        version = data[box.payload] if box.payload < box.end else 0
        if box.kind in (b"mvhd", b"tkhd", b"mdhd"):
            length = 16 if version == 1 else 8
            result[box.payload + 4 : box.payload + 4 + length] = bytes(length)
        elif box.kind == b"mehd":
            form = ">Q" if version == 1 else ">I"
            struct.pack_into(form, result, box.payload + 4, duration)
    return bytes(result)


def number_fragment(data: bytes, number: int) -> bytes:
    """Return a media segment whose `mfhd` carries its segment number."""
    result = bytearray(data)
    for box in walk(data):
        if box.kind == b"mfhd":
            struct.pack_into(">I", result, box.payload + 4, number)
    return bytes(result)


def fragment_facts(data: bytes) -> FragmentFacts:
    """Return decode time and sample count of a media segment; raises MalformedBoxesError."""
    decode_time, samples = None, 0
    for box in walk(data):
        if box.kind == b"tfdt":
            form = ">Q" if data[box.payload] == 1 else ">I"
            (value,) = struct.unpack_from(form, data, box.payload + 4)
            decode_time = value if decode_time is None else min(decode_time, value)
        elif box.kind == b"trun":
            samples += struct.unpack_from(">I", data, box.payload + 4)[0]
    if decode_time is None:
        raise MalformedBoxesError
    return FragmentFacts(decode_time, samples)


def avc_level_idc(init: bytes) -> int:
    """Return `AVCLevelIndication` of an init segment (ISO/IEC 14496-15, 5.3.3.1)."""
    position = init.find(b"avcC")
    if position < 0:
        raise MalformedBoxesError
    return init[position + 4 + 3]
