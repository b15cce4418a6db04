"""Which URLs and answers a file can be taken from."""

import hashlib

import pytest

from reelay.upload.domain.known_start import KnownStart
from reelay.upload.domain.remote import (
    FileChangedError,
    UrlNotAllowedError,
    content_range,
    parse_url,
    strong_validator,
)


def test_url_is_taken_apart() -> None:
    place = parse_url("https://Example.org/a/my%20film.mp4?x=1#y")
    assert (place.tls, place.host, place.port) == (True, "example.org", 443)
    assert place.filename == "my film.mp4"
    assert parse_url("http://[2001:db8::1]:8080/").host == "2001:db8::1"
    assert parse_url("http://example.org").filename is None
    assert parse_url("http://example.org/..%2f..%2fetc%2fpasswd").filename == "passwd"


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/",
        "HTTP//example.org",
        "http://ada@example.org/",
        "http://:secret@example.org/",
        "http://@example.org/",
        "http://example.org\\@127.0.0.1/",
        "http://example.org:22/",
        "http://example.org:0/",
        "http://example.org:x/",
        "http://[::1/",
        "http://example.org/\n",
        "http://exämple.org/",
        "http://" + "x" * 5000,
    ],
)
def test_url_that_no_file_is_fetched_from_is_refused(url: str) -> None:
    with pytest.raises(UrlNotAllowedError):
        parse_url(url)


def test_redirect_may_be_relative_but_not_leave_the_web() -> None:
    here = parse_url("https://example.org/a/b?c")
    assert here.joined("../d").url == "https://example.org/d"
    assert here.joined("//other.example/e").host == "other.example"
    for location in ("file:///etc/passwd", "javascript:1", "http://[", "http://a:b@c/"):
        with pytest.raises(UrlNotAllowedError):
            here.joined(location)


@pytest.mark.parametrize(
    ("headers", "validator"),
    [
        ({"etag": '"a"'}, '"a"'),
        ({"etag": 'W/"a"'}, None),
        (
            {
                "last-modified": "Sat, 21 Nov 2026 08:00:00 GMT",
                "date": "Sat, 21 Nov 2026 08:00:01 GMT",
            },
            "Sat, 21 Nov 2026 08:00:00 GMT",
        ),
        (
            {
                "last-modified": "Sat, 21 Nov 2026 08:00:00 GMT",
                "date": "Sat, 21 Nov 2026 08:00:00 GMT",
            },
            None,
        ),
        ({"last-modified": "Sat, 21 Nov 2026 08:00:00 GMT"}, None),
        ({"last-modified": "yesterday", "date": "today"}, None),
        ({}, None),
    ],
)
def test_only_what_surely_names_these_bytes_may_follow_if_range(
    headers: dict[str, str], validator: str | None
) -> None:
    assert strong_validator(headers) == validator


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("bytes 5-9/10", (5, 10)),
        ("bytes 5-9/*", (5, None)),
        ("bytes 5-8/10", None),
        ("bytes 9-5/10", None),
        ("bytes */10", None),
        ("items 5-9/10", None),
        ("bytes 5-99999999999999999999/*", None),
        ("", None),
    ],
)
def test_range_is_taken_that_reaches_to_the_end(
    header: str, found: tuple[int, int | None] | None
) -> None:
    assert content_range({"content-range": header}) == found


def test_known_beginning_is_taken_off_however_it_is_cut() -> None:
    data = bytes(range(200)) * 10
    pieces = [(1000, data[:1000]), (7, data[1000:1007])]
    digests = [(size, hashlib.sha256(piece).digest()) for size, piece in pieces]
    for step in (1, 3, 999, 1000, 1007, 5000):
        known = KnownStart(digests)
        new = b"".join(known.strip(data[at : at + step]) for at in range(0, len(data), step))
        assert known.passed
        assert new == data[1007:]


def test_other_beginning_is_found_out_before_anything_new_is_taken() -> None:
    known = KnownStart([(4, hashlib.sha256(b"good").digest())])
    assert known.strip(b"goo") == b""
    assert not known.passed
    with pytest.raises(FileChangedError):
        known.strip(b"f and more")
