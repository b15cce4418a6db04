"""The few ISO BMFF boxes (ISO/IEC 14496-12) that are read or made alike after Shaka Packager."""

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from reelay.common.errors import PermanentError

TRUN_DATA_OFFSET, TRUN_FIRST_FLAGS, TRUN_OFFSETS = 0x1, 0x4, 0x800
TRUN_FIELDS_BEFORE_OFFSET = (0x100, 0x200, 0x400)
"""Duration, size and flags of a sample precede its composition offset."""

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


def finish_init(data: bytes, *, duration: int, reorder_delay: int) -> bytes:
    """Return a rendition's init segment: the same bytes, whichever chunk it was made from.

    Times of day are zeroed and `mehd` holds the planned `duration`. A `reorder_delay` is taken back
    by an edit list of one endless entry (ISO/IEC 23000-19, 7.5.13). Both in the track's timescale,
    which is the movie's.
    """

    def finish(kind: bytes, payload: bytes) -> bytes:
        wide = payload[:1] == b"\1"
        if kind in (b"mvhd", b"tkhd", b"mdhd"):
            length = 16 if wide else 8
            return payload[:4] + bytes(length) + payload[4 + length :]
        if kind == b"mehd":
            return payload[:4] + struct.pack(">Q" if wide else ">I", duration)
        return payload

    init = _rebuild(data, finish)
    if not reorder_delay:
        return init
    entry = struct.pack(">IIIiI", 0, 1, 0, reorder_delay, 1 << 16)
    edits = _box(b"edts", _box(b"elst", entry))
    return _rebuild(init, lambda _, payload: payload, after_header={b"trak": edits})


def finish_fragment(data: bytes, *, number: int, reorder_delay: int) -> bytes:
    """Return a media segment with its number in `mfhd` and composition offsets that are positive.

    Every offset grows by `reorder_delay`, which the edit list takes back: FFmpeg's demuxer shifts
    a fragment with negative offsets by its own largest one, differently for each. `sidx` is left
    out, for it would tell times before the edit list. Raises MalformedBoxesError when a frame is
    reordered farther than that.
    """

    def finish(kind: bytes, payload: bytes) -> bytes | None:
        if kind == b"sidx":
            return None
        if kind == b"mfhd":
            return payload[:4] + struct.pack(">I", number)
        if kind == b"trun" and reorder_delay:
            return _delay_composition(payload, reorder_delay)
        return payload

    return _rebuild(data, finish)


def _delay_composition(trun: bytes, delay: int) -> bytes:
    """Add `delay` to every composition offset of a `trun` (ISO/IEC 14496-12, 8.8.8).

    A fragment without reordered frames has no offsets; they are written out then.
    """
    flags = int.from_bytes(trun[1:4], "big")
    (samples,) = struct.unpack_from(">I", trun, 4)
    had_offsets = bool(flags & TRUN_OFFSETS)
    head = 8 + 4 * bool(flags & TRUN_DATA_OFFSET) + 4 * bool(flags & TRUN_FIRST_FLAGS)
    result = bytearray(trun[:head])
    result[:4] = (1 << 24 | flags | TRUN_OFFSETS).to_bytes(4, "big")
    if flags & TRUN_DATA_OFFSET and not had_offsets:
        (data_offset,) = struct.unpack_from(">i", trun, 8)
        struct.pack_into(">i", result, 8, data_offset + 4 * samples)
    before = 4 * sum(bool(flags & field) for field in TRUN_FIELDS_BEFORE_OFFSET)
    position = head
    for _ in range(samples):
        result += trun[position : position + before]
        position += before
        offset = 0
        if had_offsets:
            (offset,) = struct.unpack_from(">i", trun, position)
            position += 4
        if offset + delay < 0:
            raise MalformedBoxesError
        result += struct.pack(">i", offset + delay)
    return bytes(result)


def _rebuild(
    data: bytes,
    finish: Callable[[bytes, bytes], bytes | None],
    after_header: Mapping[bytes, bytes] = MappingProxyType({}),
) -> bytes:
    """Return boxes with new payloads, without those that `finish` has none for.

    `after_header` names containers that get another box after their first.
    """
    result, position = b"", 0
    while position < len(data):
        box = next(walk(data, position))
        payload = data[box.payload : box.end]
        if box.kind in CONTAINERS:
            payload = _rebuild(payload, finish, after_header)
            if extra := after_header.get(box.kind):
                first = next(walk(payload)).end
                payload = payload[:first] + extra + payload[first:]
            result += _box(box.kind, payload)
        elif (changed := finish(box.kind, payload)) is not None:
            result += _box(box.kind, changed)
        position = box.end
    return result


def _box(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


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
