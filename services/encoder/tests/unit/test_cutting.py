"""Bytes become segments whatever the pieces they come in, and nothing unplanned passes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelay.common.commands import SegmentSpec
from reelay.encoder.domain.boxes import (
    BoxReader,
    MalformedBoxError,
    make_box,
    make_full_box,
    split_boxes,
)
from reelay.encoder.domain.cutting import (
    SILENT_AAC_FRAME,
    AudioCutter,
    PlanMismatchError,
    VideoCutter,
)
from reelay.encoder.domain.fragments import FragmentReader, make_fragment
from reelay.encoder.domain.log_tail import TAIL_LINES, LogTail

INIT = make_box("ftyp", b"isom") + make_box("moov", make_full_box("mvhd", 0, 0, bytes(96)))


def spec(number: int, first_frame: int, frames: int) -> SegmentSpec:
    return SegmentSpec(number=number, first_frame=first_frame, frames=frames)


def fragment(first_tick: int, count: int, ticks: int = 1001) -> bytes:
    return make_fragment(1, first_tick, ticks, [bytes([i]) * (i + 1) for i in range(count)])


@given(st.lists(st.integers(1, 60), max_size=40))
def test_boxes_are_the_same_in_whatever_pieces_they_come(sizes):
    stream = INIT + fragment(0, 3) + fragment(3003, 2)
    reader = BoxReader()
    boxes = []
    position = 0
    for size in [*sizes, len(stream)]:
        boxes += reader.feed(stream[position : position + size])
        position += size
    assert [box.kind for box in boxes] == ["ftyp", "moov", "moof", "mdat", "moof", "mdat"]
    assert b"".join(box.data for box in boxes) == stream


@pytest.mark.parametrize("size", [0, 7, 1 << 31])
def test_impossible_box_sizes_are_malformed(size):
    with pytest.raises(MalformedBoxError):
        list(BoxReader().feed(size.to_bytes(4, "big") + b"moov" + bytes(16)))


def test_box_with_long_size_is_read():
    long = (1).to_bytes(4, "big") + b"mdat" + (20).to_bytes(8, "big") + b"four"
    (box,) = split_boxes(long)
    assert (box.kind, box.payload) == ("mdat", b"four")


def test_written_fragment_reads_back():
    samples = [b"a", b"bcd", b"", b"ef"]
    (read,) = FragmentReader().feed(make_fragment(7, 1 << 40, 1024, samples))
    assert read.first_tick == 1 << 40
    assert read.durations == (1024,) * 4
    assert list(read.samples()) == samples


def test_fragment_whose_sizes_lie_is_malformed():
    moof = fragment(0, 3).partition(b"mdat")[0][:-4]
    with pytest.raises(MalformedBoxError):
        list(FragmentReader().feed(moof + make_box("mdat", b"x")))


def test_video_segment_is_passed_on_with_its_init_segment():
    cutter = VideoCutter("360p", [spec(4, 10, 3)], 1001)
    (made,) = cutter.feed(INIT + fragment(10010, 3))
    assert made.data == INIT + fragment(10010, 3)
    assert made.spec.number == 4
    assert not cutter.missing()


@pytest.mark.parametrize(
    "wrong", [fragment(10011, 3), fragment(10010, 4), fragment(10010, 3, 1000), fragment(0, 3)]
)
def test_video_segment_other_than_planned_is_an_error(wrong):
    cutter = VideoCutter("360p", [spec(4, 10, 3)], 1001)
    with pytest.raises(PlanMismatchError):
        list(cutter.feed(INIT + wrong))
    assert [one.number for one in cutter.missing()] == [4]


def test_segment_that_ffmpeg_ended_inside_of_stays_missing():
    cutter = VideoCutter("360p", [spec(4, 10, 3), spec(5, 13, 3)], 1001)
    assert list(cutter.feed(INIT + fragment(10010, 2))) == []
    assert [one.number for one in cutter.missing()] == [4, 5]


def test_one_segment_too_many_is_an_error():
    cutter = VideoCutter("360p", [spec(4, 0, 3)], 1001)
    with pytest.raises(PlanMismatchError):
        list(cutter.feed(INIT + fragment(0, 3) + fragment(3003, 3)))


def audio_frames(first: int, count: int) -> bytes:
    return b"".join(make_fragment(n, (first + n) * 1024, 1024, [bytes([n])]) for n in range(count))


def test_audio_is_cut_at_planned_frames_and_surplus_is_dropped():
    cutter = AudioCutter("audio", [spec(2, 47, 2), spec(3, 49, 3)])
    made = list(cutter.feed(INIT + audio_frames(47, 7)))
    assert [one.spec.number for one in made] == [2, 3]
    (second,) = FragmentReader().feed(made[1].data)
    assert second.first_tick == 49 * 1024
    assert list(second.samples()) == [b"\x02", b"\x03", b"\x04"]
    assert list(cutter.finish()) == []


def test_audio_that_ends_early_is_filled_with_silence():
    cutter = AudioCutter("audio", [spec(1, 0, 2), spec(2, 2, 2)])
    assert list(cutter.feed(INIT + audio_frames(0, 1))) == []
    one, two = cutter.finish()
    (first,) = FragmentReader().feed(one.data)
    (second,) = FragmentReader().feed(two.data)
    assert list(first.samples()) == [b"\x00", SILENT_AAC_FRAME]
    assert list(second.samples()) == [SILENT_AAC_FRAME] * 2


def test_audio_without_an_init_segment_is_missing():
    cutter = AudioCutter("audio", [spec(1, 0, 2)])
    assert list(cutter.finish()) == []
    assert len(cutter.missing()) == 1


def test_gap_in_audio_is_an_error():
    cutter = AudioCutter("audio", [spec(1, 0, 4)])
    with pytest.raises(PlanMismatchError):
        list(cutter.feed(INIT + audio_frames(0, 1) + audio_frames(2, 1)))


def test_log_keeps_its_end_and_counts_source_frames():
    log = LogTail()
    for number in range(40):
        log.feed(f"[Parsed_showinfo_1 @ 0x55] [info] n:{number:4} pts: {number + 100:6} pts_time:4")
        log.feed(f"[h264 @ 0x55] [error] line {number}\n")
    assert log.last_source_frame == 139
    assert log.text().splitlines()[-1] == "[h264 @ 0x55] [error] line 39"
    assert len(log.text().splitlines()) == TAIL_LINES
    assert not log.nothing_decoded
    log.feed("[fc#0 @ 0x5] [error] Cannot determine format of input 0:0 after EOF")
    assert log.nothing_decoded
