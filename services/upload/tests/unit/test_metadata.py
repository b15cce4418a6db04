"""Upload-Metadata is read as tus 1.0 defines it."""

import base64
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelay.common.errors import UnprocessableError
from reelay.upload.domain.metadata import (
    InvalidMetadataError,
    clean_filename,
    describe_file,
    parse_metadata,
)

KEYS = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=","),
    min_size=1,
    max_size=20,
)


@given(st.dictionaries(KEYS, st.binary(max_size=50), max_size=8))
def test_what_a_client_encodes_is_read_back(values: dict[str, bytes]) -> None:
    pairs = [f"{key} {base64.b64encode(value).decode()}".rstrip() for key, value in values.items()]
    assert parse_metadata(",".join(pairs)) == values
    assert parse_metadata(" , ".join(pairs)) == values


@given(st.text(max_size=200))
def test_any_header_is_read_or_refused(header: str) -> None:
    try:
        describe_file(parse_metadata(header))
    except (InvalidMetadataError, UnprocessableError):
        return


@pytest.mark.parametrize("header", ["a %%%", "a YQ==,a YQ==", "a YQ==,", "é YQ==", "a" * 9000])
def test_malformed_metadata_is_refused(header: str) -> None:
    with pytest.raises(InvalidMetadataError):
        parse_metadata(header)


def test_value_may_be_absent() -> None:
    assert parse_metadata("is_confidential,filename YQ==") == {
        "is_confidential": b"",
        "filename": b"a",
    }
    assert parse_metadata("") == {}


def test_video_id_is_a_uuid() -> None:
    video_id = UUID("018f0000-0000-7000-8000-000000000001")
    assert describe_file({"video_id": str(video_id).encode()}).video_id == video_id
    assert describe_file({}).video_id is None
    with pytest.raises(UnprocessableError):
        describe_file({"video_id": b"42"})


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("holiday.mp4", "holiday.mp4"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\film.mov", "film.mov"),
        ("line\nbreak\x00.mp4", "linebreak.mp4"),
        ("\u202emp4.exe", "mp4.exe"),
        ("a/", None),
        ("", None),
        ("x" * 300, "x" * 255),
    ],
)
def test_filename_is_harmless(name: str, clean: str | None) -> None:
    assert clean_filename(name) == clean
