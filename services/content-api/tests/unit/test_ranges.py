"""Range fields against a model that lists the bytes one by one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelay.content_api.domain.ranges import ByteRange, Part, parse_range

sizes = st.integers(0, 40)
positions = st.integers(0, 60)


def chosen(field: str, size: int) -> list[int] | None:
    """Return the positions that a field selects; None when the whole object is answered."""
    part = parse_range(field, size)
    if part is Part.WHOLE:
        return None
    if part is Part.UNSATISFIABLE:
        return []
    assert isinstance(part, ByteRange)
    assert part.length == len(range(size)[part.start : part.end])
    return list(range(part.start, part.end))


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


@pytest.mark.parametrize(
    "field",
    ["", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=1-0", "bytes=0-1,3-4", "items=0-1",
     "bytes=0--1", "bytes=+1-2", "bytes=1 - 2", "bytes=٣-٤", "bytes=0-" + "9" * 5000],
)  # fmt: skip
def test_malformed_foreign_or_multiple_ranges_are_ignored(field: str) -> None:
    assert parse_range(field, 10) is Part.WHOLE


def test_unit_is_compared_without_case_and_blanks_around_the_range_are_allowed() -> None:
    assert parse_range("Bytes= 2-3\t", 10) == ByteRange(2, 4)


def test_absent_field_means_the_whole_object() -> None:
    assert parse_range(None, 10) is Part.WHOLE
