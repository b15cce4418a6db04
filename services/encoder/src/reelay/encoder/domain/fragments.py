"""Reads and writes movie fragments, moof + mdat (ISO/IEC 14496-12, section 8.8)."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reelay.encoder.domain.boxes import (
    Box,
    BoxReader,
    MalformedBoxError,
    make_box,
    make_full_box,
)

TFHD_BASE_OFFSET, TFHD_DESCRIPTION, TFHD_DURATION = 0x01, 0x02, 0x08
TFHD_SIZE, TFHD_FLAGS, TFHD_BASE_IS_MOOF = 0x10, 0x20, 0x020000
TRUN_OFFSET, TRUN_FIRST_FLAGS = 0x001, 0x004
TRUN_DURATION, TRUN_SIZE, TRUN_FLAGS, TRUN_CTS = 0x100, 0x200, 0x400, 0x800
SYNC_SAMPLE = 0x02000000
"""sample_depends_on = 2: the sample depends on no other (section 8.8.3.1)."""
TRACK_ID = 1


@dataclass(frozen=True)
class Fragment:
    """One track's run of samples; times in units of the track's timescale."""

    first_tick: int
    """baseMediaDecodeTime of `tfdt`."""
    durations: tuple[int, ...]
    sizes: tuple[int, ...]
    data: bytes
    """moof and mdat."""
    media: bytes
    """The samples themselves, one after the other."""

    def samples(self) -> Iterator[bytes]:
        """Yield the bytes of each sample."""
        position = 0
        for size in self.sizes:
            yield self.media[position : position + size]
            position += size


class FragmentReader:
    """Collects the init segment and yields fragments as they become whole."""

    def __init__(self) -> None:
        self.init = b""
        """ftyp and moov, once both were fed."""
        self._boxes = BoxReader()
        self._moof: Box | None = None

    def feed(self, data: bytes) -> Iterator[Fragment]:
        """Take bytes; yield the fragments that they complete. Raises MalformedBoxError."""
        for box in self._boxes.feed(data):
            if box.kind in ("ftyp", "moov"):
                self.init += box.data
            elif box.kind == "moof":
                self._moof = box
            elif box.kind == "mdat" and self._moof is not None:
                yield parse_fragment(self._moof, box)
                self._moof = None


def parse_fragment(moof: Box, mdat: Box) -> Fragment:
    """Return what a moof says of its mdat; raise MalformedBoxError when that is not possible."""
    track = moof.child("traf")
    try:
        defaults = _default_duration_and_size(track.child("tfhd").payload)
        durations, sizes = _samples(track.child("trun").payload, *defaults)
        first_tick = _decode_time(track.child("tfdt").payload)
    except struct.error as error:
        raise MalformedBoxError(f"moof: {error}") from error
    if sum(sizes) != len(mdat.payload):
        raise MalformedBoxError("trun and mdat disagree")
    return Fragment(first_tick, durations, sizes, moof.data + mdat.data, mdat.payload)


def make_fragment(
    number: int, first_tick: int, sample_ticks: int, samples: Sequence[bytes]
) -> bytes:
    """Return moof + mdat of sync samples that all last `sample_ticks`."""

    def moof(data_offset: int) -> bytes:
        tfhd = make_full_box(
            "tfhd",
            0,
            TFHD_BASE_IS_MOOF | TFHD_DURATION | TFHD_FLAGS,
            struct.pack(">III", TRACK_ID, sample_ticks, SYNC_SAMPLE),
        )
        tfdt = make_full_box("tfdt", 1, 0, struct.pack(">Q", first_tick))
        sizes = struct.pack(f">{len(samples)}I", *map(len, samples))
        trun = make_full_box(
            "trun",
            0,
            TRUN_OFFSET | TRUN_SIZE,
            struct.pack(">Ii", len(samples), data_offset) + sizes,
        )
        mfhd = make_full_box("mfhd", 0, 0, struct.pack(">I", number))
        return make_box("moof", mfhd + make_box("traf", tfhd + tfdt + trun))

    mdat = make_box("mdat", b"".join(samples))
    return moof(len(moof(0)) + len(mdat) - sum(map(len, samples))) + mdat


def _decode_time(payload: bytes) -> int:
    (tick,) = struct.unpack_from(">Q" if payload[:1] == b"\x01" else ">I", payload, 4)
    return int(tick)


def _default_duration_and_size(payload: bytes) -> tuple[int, int]:
    (flags,) = struct.unpack_from(">I", payload)
    position = 8 + 8 * bool(flags & TFHD_BASE_OFFSET) + 4 * bool(flags & TFHD_DESCRIPTION)
    duration = size = 0
    if flags & TFHD_DURATION:
        (duration,) = struct.unpack_from(">I", payload, position)
        position += 4
    if flags & TFHD_SIZE:
        (size,) = struct.unpack_from(">I", payload, position)
    return duration, size


def _samples(
    payload: bytes, default_duration: int, default_size: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    flags, count = struct.unpack_from(">II", payload)
    position: int = 8 + 4 * bool(flags & TRUN_OFFSET) + 4 * bool(flags & TRUN_FIRST_FLAGS)
    fields = [bit for bit in (TRUN_DURATION, TRUN_SIZE, TRUN_FLAGS, TRUN_CTS) if flags & bit]
    values = struct.unpack_from(f">{count * len(fields)}I", payload, position)

    def column(bit: int, default: int) -> tuple[int, ...]:
        if bit not in fields:
            return tuple([default] * count)
        return tuple(map(int, values[fields.index(bit) :: len(fields)]))

    return column(TRUN_DURATION, default_duration), column(TRUN_SIZE, default_size)
