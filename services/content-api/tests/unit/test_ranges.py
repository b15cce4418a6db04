"""Range fields against a model that lists the bytes one by one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelay.content_api.domain.bodies import BOUNDARY, partial
from reelay.content_api.domain.ranges import GAP_BYTES, MAX_RANGES, ByteRange, Part, parse_range

sizes = st.integers(0, 40)
positions = st.integers(0, 60)


def chosen(field: str, size: int) -> list[int] | None:
    """Return the positions that a field selects; None when the whole object is answered."""
    ranges = parse_range(field, size)
    if ranges is Part.WHOLE:
        return None
    if ranges is Part.UNSATISFIABLE:
        return []
    assert not isinstance(ranges, Part)
    assert ranges
    for part in ranges:
        assert 0 <= part.start < part.end <= size
    return [position for part in ranges for position in range(part.start, part.end)]


@given(first=positions, last=positions, size=sizes)
def test_closed_range_selects_the_bytes_between_both_ends(first: int, last: int, size: int) -> None:
    expected = None if last < first else [n for n in range(size) if first <= n <= last]
    assert chosen(f"bytes={first}-{last}", size) == expected


@given(first=positions, size=sizes)
def test_open_range_selects_everything_from_its_start(first: int, size: int) -> None:
    assert chosen(f"bytes={first}-", size) == [n for n in range(size) if n >= first]


@given(length=positions, size=sizes)
def test_suffix_range_selects_the_last_bytes(length: int, size: int) -> None:
    assert chosen(f"bytes=-{length}", size) == [n for n in range(size) if n >= size - length]


@given(st.text(max_size=30), sizes)
def test_no_field_makes_the_parser_fail_or_leave_the_object(field: str, size: int) -> None:
    selected = chosen(field, size)
    assert selected is None or set(selected) <= set(range(size))


@given(
    st.lists(
        st.tuples(st.integers(0, 9000), st.integers(0, 900)).map(lambda p: (p[0], p[0] + p[1])),
        min_size=1,
        max_size=MAX_RANGES,
    ),
    st.integers(1, 8000),
)
def test_several_ranges_cover_what_each_asks_for_once_and_little_else(
    asked: list[tuple[int, int]], size: int
) -> None:
    field = "bytes=" + ", ".join(f"{first}-{last}" for first, last in asked)
    wanted = {n for first, last in asked for n in range(first, min(last + 1, size))}
    got = chosen(field, size)
    assert got is not None
    assert len(got) == len(set(got))
    assert wanted <= set(got)
    assert len(got) <= len(wanted) + GAP_BYTES * (len(asked) - 1)


def test_far_ranges_stay_apart_in_the_order_of_the_field_and_near_ones_become_one() -> None:
    assert parse_range("bytes=9000-9009,0-9, ,5000-5000", 10_000) == [
        ByteRange(9000, 9010),
        ByteRange(0, 10),
        ByteRange(5000, 5001),
    ]
    assert parse_range("bytes=0-9,5000-5009,5-100", 10_000) == [
        ByteRange(0, 101),
        ByteRange(5000, 5010),
    ]


def test_ranges_beyond_the_end_are_left_out_of_several() -> None:
    assert parse_range("bytes=0-1,100-200", 10) == [ByteRange(0, 2)]
    assert parse_range("bytes=10-11,100-200,-0", 10) is Part.UNSATISFIABLE


def test_too_many_ranges_are_ignored() -> None:
    def field(count: int) -> str:
        return "bytes=" + ",".join(f"{n * 1000}-{n * 1000}" for n in range(count))

    assert len(chosen(field(MAX_RANGES), 100_000) or []) == MAX_RANGES
    assert parse_range(field(MAX_RANGES + 1), 100_000) is Part.WHOLE


@pytest.mark.parametrize(
    "field",
    ["", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=1-0", "bytes=0-1,5", "items=0-1",
     "bytes=0--1", "bytes=+1-2", "bytes=1 - 2", "bytes=٣-٤", "bytes=0-" + "9" * 5000,
     "bytes=,", "bytes=0-1,4-3", "bytes=0-1;3-4"],
)  # fmt: skip
def test_malformed_or_foreign_fields_are_ignored(field: str) -> None:
    assert parse_range(field, 10) is Part.WHOLE


def test_unit_is_compared_without_case_and_blanks_around_a_range_are_allowed() -> None:
    assert parse_range("Bytes= 2-3\t", 10) == [ByteRange(2, 4)]


def test_absent_field_means_the_whole_object() -> None:
    assert parse_range(None, 10) is Part.WHOLE


def test_body_of_one_range_has_a_content_range_and_of_several_has_parts() -> None:
    one = partial("a/b", 100, [ByteRange(5, 7)])
    assert (one.content_type, one.content_range, one.length) == ("a/b", "bytes 5-6/100", 2)
    two = partial("a/b", 1000, [ByteRange(0, 2), ByteRange(500, 503)])
    assert two.content_type == f"multipart/byteranges; boundary={BOUNDARY}"
    assert two.content_range is None
    sent = b"".join(p if isinstance(p, bytes) else b"x" * p.length for p in two.pieces)
    assert len(sent) == two.length
    assert sent.count(b"Content-Range: bytes 500-502/1000\r\n") == 1
    assert sent.endswith(f"\r\n--{BOUNDARY}--\r\n".encode())
