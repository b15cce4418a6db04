"""What the headers of checksums and concatenation may say."""

import base64
import hashlib
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelay.common.errors import InvalidRequestError
from reelay.upload.domain.checksum import parse_checksum
from reelay.upload.domain.concatenation import MAX_PARTIALS, Concatenation, parse_concatenation
from reelay.upload.domain.errors import ChecksumMismatchError
from reelay.upload.domain.limits import in_words
from reelay.upload.domain.upload import Kind

PREFIX = "/api/v1/uploads"
ONE, TWO = UUID(int=1), UUID(int=2)


@given(st.lists(st.binary(max_size=50), max_size=5), st.sampled_from(["sha1", "sha256"]))
def test_right_bytes_pass_and_others_do_not(blocks: list[bytes], algorithm: str) -> None:
    digest = hashlib.new(algorithm, b"".join(blocks)).digest()
    header = f"{algorithm} {base64.b64encode(digest).decode()}"
    right, wrong = parse_checksum(header), parse_checksum(header)
    for block in blocks:
        right.update(block)
        wrong.update(block)
    right.check()
    wrong.update(b"x")
    with pytest.raises(ChecksumMismatchError):
        wrong.check()


@pytest.mark.parametrize("header", ["", "sha1", "md5 AAAA", "sha1 !", "sha256 AAAA", "SHA1 AAAA"])
def test_checksums_that_make_no_sense_are_refused(header: str) -> None:
    with pytest.raises(InvalidRequestError, match="Upload-Checksum"):
        parse_checksum(header)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, Concatenation()),
        ("partial", Concatenation(Kind.PARTIAL)),
        (f"final;{PREFIX}/{ONE}", Concatenation(Kind.FINAL, (ONE,))),
        (f"final; {PREFIX}/{ONE}  https://a.example{PREFIX}/{TWO}",
         Concatenation(Kind.FINAL, (ONE, TWO))),
    ],
)  # fmt: skip
def test_concatenation_is_understood(header: str | None, expected: Concatenation) -> None:
    assert parse_concatenation(header, PREFIX) == expected


@pytest.mark.parametrize(
    "header",
    [
        "", "partial;", "whole", "final", "final;", "final;/x", f"final;{PREFIX}/x",
        f"final;/other/{ONE}", f"final;{PREFIX}/{ONE} {PREFIX}/{ONE}", "final;http://[",
        "final;" + " ".join(f"{PREFIX}/{UUID(int=n)}" for n in range(MAX_PARTIALS + 1)),
    ],
)  # fmt: skip
def test_concatenation_that_makes_no_sense_is_refused(header: str) -> None:
    with pytest.raises(InvalidRequestError, match="Upload-Concat"):
        parse_concatenation(header, PREFIX)


@pytest.mark.parametrize(
    ("size_bytes", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "0.977 KiB"), (8 << 20, "8 MiB"),
     (10_000 * (8 << 20), "78.1 GiB"), (1 << 60, "1.05e+06 TiB")],
)  # fmt: skip
def test_numbers_of_bytes_are_said_in_words(size_bytes: int, words: str) -> None:
    assert in_words(size_bytes) == words
