"""The beginning of a progressive MP4 around verbatim segments (decision 13).

Source: ISO/IEC 14496-12, 8.2 (movie), 8.3 (track), 8.6.6 (edit list).
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import lcm

from reelay.content_api.domain.mp4_boxes import (
    HEAD_BYTES,
    LARGE_HEAD_BYTES,
    UINT32_MAX,
    DamagedSegmentError,
    box,
    full_box,
)
from reelay.content_api.domain.sample_tables import SampleTables
from reelay.content_api.domain.tracks import Track

FTYP = box(b"ftyp", b"isom", (512).to_bytes(4, "big"), b"isom", b"iso2", b"avc1", b"mp41")
MATRIX = struct.pack(">9I", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
ENABLED_IN_MOVIE = 0x3


@dataclass(frozen=True, slots=True)
class FilledTrack:
    """A track and its samples."""

    track: Track
    tables: SampleTables


@dataclass(frozen=True, slots=True)
class Header:
    """Everything before the payload of `mdat`."""

    size_bytes: int
    _tracks: Sequence[FilledTrack]
    _timescale: int
    _payload_bytes: int
    _wide: bool

    def blocks(self) -> Iterator[bytes]:
        """Yield the bytes, which may be some megabytes for a film."""
        yield FTYP
        yield from self._moov()
        size = self._payload_bytes
        if self._wide:
            yield struct.pack(">I4sQ", 1, b"mdat", LARGE_HEAD_BYTES + size)
        else:
            yield struct.pack(">I4s", HEAD_BYTES + size, b"mdat")

    def _moov(self) -> Iterator[bytes]:
        mvhd, traks, size = _movie(self._tracks, self._timescale, wide=self._wide)
        yield struct.pack(">I4s", size, b"moov") + mvhd
        for before, filled in zip(traks, self._tracks, strict=True):
            yield before
            yield from filled.tables.boxes(self.size_bytes, wide=self._wide)


def make_header(tracks: Sequence[FilledTrack], payload_bytes: int) -> Header:
    """Return the beginning of a file whose `mdat` has a payload of so many bytes.

    The movie's timescale is one in which every track's duration is whole.
    """
    timescale = lcm(*(filled.track.timescale for filled in tracks))
    if timescale > UINT32_MAX:
        raise DamagedSegmentError
    _, _, moov = _movie(tracks, timescale, wide=False)
    size = len(FTYP) + moov + HEAD_BYTES
    if wide := size + payload_bytes > UINT32_MAX:
        _, _, moov = _movie(tracks, timescale, wide=True)
        size = len(FTYP) + moov + LARGE_HEAD_BYTES
    return Header(size, tracks, timescale, payload_bytes, wide)


def _movie(
    tracks: Sequence[FilledTrack], timescale: int, *, wide: bool
) -> tuple[bytes, list[bytes], int]:
    """Return `mvhd`, every `trak` up to its tables, and the size of the whole `moov`."""
    mvhd = _mvhd(tracks, timescale)
    traks = [_trak(filled, n, timescale, wide=wide) for n, filled in enumerate(tracks, 1)]
    tables = sum(filled.tables.size_bytes(wide=wide) for filled in tracks)
    return mvhd, traks, HEAD_BYTES + len(mvhd) + sum(map(len, traks)) + tables


def _mvhd(tracks: Sequence[FilledTrack], timescale: int) -> bytes:
    longest = max(_movie_duration(filled, timescale) for filled in tracks)
    after = struct.pack(">IH10x", 1 << 16, 1 << 8) + MATRIX + bytes(24)
    version, times = _times(longest, struct.pack(">I", timescale))
    return full_box(b"mvhd", version, 0, times, after, struct.pack(">I", len(tracks) + 1))


def _trak(filled: FilledTrack, number: int, timescale: int, *, wide: bool) -> bytes:
    """Return a `trak` without the tables that end it, but with their size in its heads."""
    track = filled.track
    duration = _movie_duration(filled, timescale)
    version, times = _times(duration, struct.pack(">I4x", number))
    tkhd = full_box(b"tkhd", version, ENABLED_IN_MOVIE, times, track.look)
    version, times = _times(filled.tables.duration, struct.pack(">I", track.timescale))
    mdhd = full_box(b"mdhd", version, 0, times, track.language)
    outside = tkhd + _edits(track, duration)
    size = filled.tables.size_bytes(wide=wide)
    stbl = _open(b"stbl", track.descriptions, size)
    minf = _open(b"minf", track.media_header + track.data_information + stbl, size)
    mdia = _open(b"mdia", mdhd + track.handler + minf, size)
    return _open(b"trak", outside + mdia, size)


def _open(kind: bytes, content: bytes, more_bytes: int) -> bytes:
    """Return a box to which so many bytes are still to be added."""
    return struct.pack(">I4s", HEAD_BYTES + len(content) + more_bytes, kind) + content


def _edits(track: Track, duration: int) -> bytes:
    """Return the edit list that takes back what composition is delayed by."""
    if track.media_time is None:
        return b""
    version = int(duration > UINT32_MAX or track.media_time > UINT32_MAX >> 1)
    form = ">Qqhh" if version else ">Iihh"
    entry = struct.pack(form, duration, track.media_time, 1, 0)
    return box(b"edts", full_box(b"elst", version, 0, struct.pack(">I", 1), entry))


def _movie_duration(filled: FilledTrack, timescale: int) -> int:
    return filled.tables.duration * timescale // filled.track.timescale


def _times(duration: int, between: bytes) -> tuple[int, bytes]:
    """Return version and times of a header: two times of day, `between`, the duration."""
    if duration > UINT32_MAX:
        return 1, bytes(16) + between + struct.pack(">Q", duration)
    return 0, bytes(8) + between + struct.pack(">I", duration)
