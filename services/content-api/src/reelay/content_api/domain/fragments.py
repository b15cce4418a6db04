"""Reads what a CMAF segment says of its samples (ISO/IEC 14496-12, 8.8; ISO/IEC 23000-19, 7.3)."""

import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from reelay.content_api.domain.mp4_boxes import (
    LARGE_HEAD_BYTES,
    Box,
    DamagedSegmentError,
    box_at,
    boxes,
    children,
    fields,
    required,
)

BASE_DATA_OFFSET, DESCRIPTION, DEFAULT_DURATION = 0x1, 0x2, 0x8
DEFAULT_SIZE, DEFAULT_FLAGS = 0x10, 0x20
DATA_OFFSET, FIRST_FLAGS = 0x1, 0x4
DURATIONS, SIZES, FLAGS, OFFSETS = 0x100, 0x200, 0x400, 0x800
NOT_SYNC = 0x10000
"""sample_is_non_sync_sample (8.8.3.1)."""
MAX_HEAD_BYTES = 1024 * 1024
MAX_SAMPLES = 65_536
"""In one segment; ours have a few hundred."""

Runs = list[tuple[int, int]]
"""Runs of equal values: (how many, which)."""


@dataclass(frozen=True, slots=True)
class SampleDefaults:
    """What samples have when a segment says nothing (`trex`)."""

    duration: int
    size: int
    flags: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """Samples that lie one behind the other, from a position in their segment on."""

    position: int
    sizes: "array[int]"


@dataclass(frozen=True, slots=True)
class Fragment:
    """The samples of one segment, times in its track's timescale."""

    decode_time: int
    chunks: list[Chunk]
    durations: Runs
    offsets: Runs
    """Composition time minus decode time."""
    sync: list[int]
    """Which samples a decoder can begin with, counted from 0."""


def head_bytes(data: bytes, size_bytes: int) -> int:
    """Return how many bytes of a segment of `size_bytes` `read_fragment` needs.

    `data` is the segment's beginning. Raises DamagedSegmentError.
    """
    position = 0
    while True:
        found = box_at(data, position, size_bytes)
        if found.kind == b"moof":
            needed = min(found.end + LARGE_HEAD_BYTES, size_bytes)
            if needed > MAX_HEAD_BYTES:
                raise DamagedSegmentError
            return needed
        position = found.end


def read_fragment(head: bytes, size_bytes: int, defaults: SampleDefaults) -> Fragment:
    """Return the samples of a segment of `size_bytes`, of which `head` is the beginning.

    Expected is what Reelay's packager makes: one `moof` with one track, and one `mdat` to the end.
    Raises DamagedSegmentError for everything else.
    """
    position = 0
    while (moof := box_at(head, position, size_bytes)).kind != b"moof":
        position = moof.end
    if moof.end > len(head):
        raise DamagedSegmentError
    mdat = box_at(head, moof.end, size_bytes)
    if mdat.kind != b"mdat" or mdat.end != size_bytes:
        raise DamagedSegmentError
    tracks = [found for found in boxes(head, moof.payload, moof.end) if found.kind == b"traf"]
    if len(tracks) != 1:
        raise DamagedSegmentError
    return _read_track(head, tracks[0], moof, mdat, defaults)


def _read_track(head: bytes, traf: Box, moof: Box, mdat: Box, defaults: SampleDefaults) -> Fragment:
    inside = children(head, traf)
    defaults = _track_defaults(head, required(inside, b"tfhd"), defaults)
    tfdt = required(inside, b"tfdt")
    (version,) = fields("B", head, tfdt.payload, tfdt.end)
    (decode_time,) = fields("Q" if version else "I", head, tfdt.payload + 4, tfdt.end)
    fragment = Fragment(decode_time, [], [], [], [])
    samples, position = 0, None
    for run in boxes(head, traf.payload, traf.end):
        if run.kind == b"trun":
            position = _read_run(head, run, moof.start, position, samples, defaults, fragment)
            samples += len(fragment.chunks[-1].sizes)
            if fragment.chunks[-1].position < mdat.payload or position > mdat.end:
                raise DamagedSegmentError
    if not samples:
        raise DamagedSegmentError
    return fragment


def _track_defaults(head: bytes, tfhd: Box, defaults: SampleDefaults) -> SampleDefaults:
    (flags,) = fields("I", head, tfhd.payload, tfhd.end)
    if flags & BASE_DATA_OFFSET:
        raise DamagedSegmentError
    position = tfhd.payload + 8 + 4 * bool(flags & DESCRIPTION)
    values = [defaults.duration, defaults.size, defaults.flags]
    for index, flag in enumerate((DEFAULT_DURATION, DEFAULT_SIZE, DEFAULT_FLAGS)):
        if flags & flag:
            (values[index],) = fields("I", head, position, tfhd.end)
            position += 4
    return SampleDefaults(*values)


def _read_run(
    head: bytes,
    trun: Box,
    base: int,
    behind: int | None,
    samples: int,
    defaults: SampleDefaults,
    fragment: Fragment,
) -> int:
    """Add a `trun` (8.8.8) to `fragment`; return where its bytes end."""
    flags, count = fields("II", head, trun.payload, trun.end)
    version, flags = flags >> 24, flags & 0xFFFFFF
    position = trun.payload + 8
    if flags & DATA_OFFSET:
        (offset,) = fields("i", head, position, trun.end)
        behind = base + offset
        position += 4
    if behind is None or samples + count > MAX_SAMPLES:
        raise DamagedSegmentError
    first_flags = None
    if flags & FIRST_FLAGS:
        (first_flags,) = fields("I", head, position, trun.end)
        position += 4
    table = _Table(head, position, trun.end, flags, count)
    sizes = table.column(SIZES)
    if sizes is None:
        sizes = array("I", [defaults.size]) * count
    fragment.chunks.append(Chunk(behind, sizes))
    fragment.durations.extend(_runs(table.column(DURATIONS), defaults.duration, count))
    offsets = table.column(OFFSETS)
    if version and offsets is not None:
        offsets = array("i", offsets.tobytes())
    fragment.offsets.extend(_runs(offsets, 0, count))
    sync = _sync(table.column(FLAGS), defaults.flags, first_flags, count)
    fragment.sync.extend(samples + index for index in sync)
    return behind + sum(sizes)


class _Table:
    """The rows of a `trun`: one for each sample, with the columns that its flags name."""

    def __init__(self, data: bytes, start: int, end: int, flags: int, count: int) -> None:
        self._flags = flags
        self._columns = [kind for kind in (DURATIONS, SIZES, FLAGS, OFFSETS) if flags & kind]
        last = start + 4 * count * len(self._columns)
        if last > end:
            raise DamagedSegmentError
        self._values = array("I", data[start:last])
        if sys.byteorder == "little":
            self._values.byteswap()

    def column(self, kind: int) -> "array[int] | None":
        if not self._flags & kind:
            return None
        return self._values[self._columns.index(kind) :: len(self._columns)]


def _runs(values: "array[int] | None", default: int, count: int) -> Runs:
    if values is None:
        return [(count, default)] if count else []
    return [(len(list(same)), value) for value, same in groupby(values)]


def _sync(
    values: "array[int] | None", default: int, first: int | None, count: int
) -> Sequence[int]:
    """Return which samples of a run a decoder can begin with, counted from 0."""
    if values is None:
        found: Sequence[int] = () if default & NOT_SYNC else range(count)
    else:
        found = [index for index, value in enumerate(values) if not value & NOT_SYNC]
    if first is None or not count:
        return found
    after = [index for index in found if index]
    return after if first & NOT_SYNC else [0, *after]
