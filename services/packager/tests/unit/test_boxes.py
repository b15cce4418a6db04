"""Reading and levelling ISO BMFF boxes."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelay.packager.domain.boxes import (
    FragmentFacts,
    MalformedBoxesError,
    fragment_facts,
    normalise_init,
    number_fragment,
    walk,
)


def box(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


def init(created: int, duration: int) -> bytes:
    times = struct.pack(">III", 0, created, created)
    mehd = box(b"mehd", struct.pack(">II", 0, duration))
    return box(b"moov", box(b"mvhd", times + b"rest") + box(b"mvex", mehd))


def fragment(number: int, decode_time: int, samples: int) -> bytes:
    tfdt = box(b"tfdt", struct.pack(">IQ", 1 << 24, decode_time))
    trun = box(b"trun", struct.pack(">II", 0, samples))
    mfhd = box(b"mfhd", struct.pack(">II", 0, number))
    return box(b"moof", mfhd + box(b"traf", tfdt + trun)) + box(b"mdat", b"x" * 9)


def test_init_segments_of_two_chunks_become_the_same_bytes() -> None:
    assert normalise_init(init(5, 100), 1500) == normalise_init(init(9, 25), 1500)
    assert normalise_init(init(5, 100), 1500) == init(0, 1500)


def test_fragment_gets_its_segment_number() -> None:
    assert number_fragment(fragment(1, 0, 3), 7) == fragment(7, 0, 3)


def test_fragment_tells_where_it_lies() -> None:
    assert fragment_facts(fragment(1, 2**33, 48)) == FragmentFacts(2**33, 48)


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
