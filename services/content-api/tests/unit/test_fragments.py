"""What a segment says of its samples is read; everything that could mislead is refused."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reelay.content_api.domain.fragments import (
    MAX_SAMPLES,
    SampleDefaults,
    head_bytes,
    read_fragment,
)
from reelay.content_api.domain.mp4_boxes import DamagedSegmentError
from reelay.content_api.domain.tracks import read_track

from ..segments import SyntheticTrack, box, numbers

VIDEO = SyntheticTrack("video", "360p", 25, 1, [8, 12], 50)
SOUND = SyntheticTrack("audio", "main", 48000, 1024, [5, 6], 50)
DEFAULTS = SampleDefaults(1, 0, 0x10000)
SEGMENT = VIDEO.segment(2)
HEAD = SEGMENT[: head_bytes(SEGMENT, len(SEGMENT))]


def test_segment_tells_sizes_times_and_where_decoding_can_begin() -> None:
    fragment = read_fragment(HEAD, len(SEGMENT), read_track(VIDEO.init).defaults)
    assert fragment.decode_time == 8
    (chunk,) = fragment.chunks
    assert list(chunk.sizes) == [len(sample) for sample in VIDEO.samples[1]]
    assert SEGMENT[chunk.position :] == b"".join(VIDEO.samples[1])
    assert fragment.durations == [(12, 1)]
    assert fragment.offsets == [(1, 2), (1, 4), (2, 1)] * 3
    assert fragment.sync == [0]


def test_sound_takes_what_its_init_segment_says() -> None:
    segment = SOUND.segment(2)
    fragment = read_fragment(segment, len(segment), read_track(SOUND.init).defaults)
    assert (fragment.decode_time, fragment.durations) == (5 * 1024, [(6, 1024)])
    assert (fragment.offsets, fragment.sync) == ([(6, 0)], [0, 1, 2, 3, 4, 5])


def test_init_segment_tells_timescale_and_edit_list() -> None:
    assert (read_track(VIDEO.init).timescale, read_track(VIDEO.init).media_time) == (25, 2)
    assert (read_track(SOUND.init).timescale, read_track(SOUND.init).media_time) == (48000, None)


def test_beginning_of_a_segment_tells_how_much_more_is_needed() -> None:
    assert head_bytes(SEGMENT[:40], len(SEGMENT)) == len(HEAD)
    with pytest.raises(DamagedSegmentError):
        read_fragment(SEGMENT[:60], len(SEGMENT), DEFAULTS)


def fragment(*tracks: bytes, media: bytes = b"x" * 100) -> bytes:
    return box(b"moof", box(b"mfhd", bytes(8)), *tracks) + box(b"mdat", media)


def track(*, tfhd: int = 0x020000, trun: bytes, more: bytes = b"") -> bytes:
    tfdt = box(b"tfdt", bytes(8))
    return box(b"traf", box(b"tfhd", numbers("II", tfhd, 1), more), tfdt, trun)


def run(flags: int, count: int, *values: int) -> bytes:
    return box(b"trun", numbers(f"II{len(values)}i", flags, count, *values))


@pytest.mark.parametrize(
    "segment",
    [
        b"",
        b"moof",
        box(b"free", bytes(30)),
        SEGMENT[:-1],
        SEGMENT + b"\0",
        SEGMENT + box(b"free"),
        fragment(),
        fragment(track(trun=run(0x201, 1, 116, 5)), track(trun=run(0x201, 1, 116, 5))),
        fragment(track(trun=run(0x201, 1, 20, 5))),
        fragment(track(trun=run(0x201, 1, 110, 95))),
        fragment(track(trun=run(0x201, 1, -9, 5))),
        fragment(track(trun=run(0x201, 9, 110, 5))),
        fragment(track(trun=run(0x200, 1, 5))),
        fragment(track(trun=run(0x001, MAX_SAMPLES + 1, 110))),
        fragment(track(trun=run(0x001, 0, 110))),
        fragment(track(trun=run(0x001, 60_000, 110) * 2)),
        fragment(track(tfhd=1, trun=run(0x201, 1, 110, 5), more=bytes(8))),
        fragment(track(tfhd=0x8, trun=run(0x201, 1, 110, 5))),
        fragment(box(b"traf", run(0x201, 1, 110, 5))),
        struct.pack(">I4s", 4, b"moof") + bytes(100),
        struct.pack(">I4sQ", 1, b"moof", 7) + bytes(100),
        struct.pack(">I4s", 1, b"moof"),
    ],
)
def test_segments_that_the_packager_never_makes_are_refused(segment: bytes) -> None:
    with pytest.raises(DamagedSegmentError):
        read_fragment(segment[: head_bytes(segment, len(segment))], len(segment), DEFAULTS)


def test_head_that_would_take_much_memory_is_refused() -> None:
    with pytest.raises(DamagedSegmentError):
        head_bytes(struct.pack(">I4s", 1 << 30, b"moof"), 1 << 31)


@settings(max_examples=400)
@given(
    st.lists(st.tuples(st.integers(0, len(HEAD) - 1), st.integers(0, 255)), max_size=12),
    st.integers(0, len(SEGMENT)),
    st.sampled_from([0, 1, 0xFFFFFFFF]),
)
def test_damaged_heads_are_read_or_refused(
    changes: list[tuple[int, int]], cut: int, value: int
) -> None:
    head = bytearray(HEAD)
    for place, byte in changes:
        head[place] = byte
    try:
        head_bytes(bytes(head[:cut]), len(SEGMENT))
        found = read_fragment(bytes(head), len(SEGMENT), SampleDefaults(value, value, value))
    except DamagedSegmentError:
        return
    for chunk in found.chunks:
        assert chunk.position > 0
        assert chunk.position + sum(chunk.sizes) <= len(SEGMENT)


@settings(max_examples=400)
@given(st.lists(st.tuples(st.integers(0, len(VIDEO.init) - 1), st.integers(0, 255)), max_size=8))
def test_damaged_init_segments_are_read_or_refused(changes: list[tuple[int, int]]) -> None:
    init = bytearray(VIDEO.init)
    for place, byte in changes:
        init[place] = byte
    with suppress(DamagedSegmentError):
        assert read_track(bytes(init)).timescale > 0
