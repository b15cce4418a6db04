"""Reading and levelling ISO BMFF boxes."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelay.packager.domain.boxes import (
    FragmentFacts,
    MalformedBoxesError,
    finish_fragment,
    finish_init,
    fragment_facts,
    walk,
)


def box(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


def init(created: int, duration: int, edits: bytes = b"") -> bytes:
    times = struct.pack(">III", 0, created, created)
    mehd = box(b"mehd", struct.pack(">II", 0, duration))
    trak = box(b"trak", box(b"tkhd", times) + edits + box(b"mdia", box(b"mdhd", times)))
    return box(b"moov", box(b"mvhd", times + b"rest") + trak + box(b"mvex", mehd))


def fragment(number: int, decode_time: int, offsets: list[int], *, index: bool = False) -> bytes:
    tfdt = box(b"tfdt", struct.pack(">IQ", 1 << 24, decode_time))
    samples = b"".join(struct.pack(">Ii", 100, offset) for offset in offsets)
    trun = box(b"trun", struct.pack(">III", 1 << 24 | 0xA01, len(offsets), 77) + samples)
    mfhd = box(b"mfhd", struct.pack(">II", 0, number))
    sidx = box(b"sidx", b"times") if index else b""
    return sidx + box(b"moof", mfhd + box(b"traf", tfdt + trun)) + box(b"mdat", b"x" * 9)


def test_init_segments_of_two_chunks_become_the_same_bytes() -> None:
    first = finish_init(init(5, 100), duration=1500, reorder_delay=0)
    assert first == finish_init(init(9, 25), duration=1500, reorder_delay=0) == init(0, 1500)


def test_reorder_delay_is_taken_back_by_an_edit_list() -> None:
    edits = box(b"edts", box(b"elst", struct.pack(">IIIiHH", 0, 1, 0, 2002, 1, 0)))
    finished = finish_init(init(5, 100), duration=1500, reorder_delay=2002)
    assert finished == init(0, 1500, edits)


def test_fragment_gets_its_number_and_positive_composition_offsets() -> None:
    raw = fragment(1, 50, [0, 3, -1, -2], index=True)
    assert finish_fragment(raw, number=7, reorder_delay=2) == fragment(7, 50, [2, 5, 1, 0])


def test_fragment_without_reordered_frames_gets_the_same_delay() -> None:
    tfdt = box(b"tfdt", struct.pack(">II", 0, 0))
    bare = box(b"trun", struct.pack(">IIIII", 1 << 24 | 0x201, 2, 60, 100, 100))
    full = box(b"trun", struct.pack(">IIIIiIi", 1 << 24 | 0xA01, 2, 68, 100, 2, 100, 2))
    finished = finish_fragment(box(b"moof", box(b"traf", tfdt + bare)), number=1, reorder_delay=2)
    assert finished == box(b"moof", box(b"traf", tfdt + full))


def test_frame_reordered_too_far_is_refused() -> None:
    with pytest.raises(MalformedBoxesError):
        finish_fragment(fragment(1, 0, [-3]), number=1, reorder_delay=2)


def test_fragment_tells_where_it_lies() -> None:
    assert fragment_facts(fragment(1, 2**33, [0] * 48)) == FragmentFacts(2**33, 48)


def test_fragment_without_decode_time_is_malformed() -> None:
    with pytest.raises(MalformedBoxesError):
        fragment_facts(box(b"mdat", b""))


@given(st.binary(max_size=200))
def test_any_bytes_are_walked_or_refused(data: bytes) -> None:
    try:
        for found in walk(data):
            assert found.payload <= found.end <= len(data)
    except (MalformedBoxesError, struct.error):
        pass
