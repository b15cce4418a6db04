"""Signatures as Amazon's own example has them."""

from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from reelay.common.storage.s3_presign import Signer

EXAMPLE = datetime(2013, 5, 24, tzinfo=UTC)
EXAMPLE_S = EXAMPLE.timestamp()
SIGNER = Signer(
    "examplebucket.s3.amazonaws.com",
    "AKIAIOSFODNN7EXAMPLE",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "us-east-1",
    tls=True,
)


def test_example_of_the_specification() -> None:
    """Amazon S3 API Reference, "Authenticating Requests: Using Query Parameters"."""
    url = SIGNER.url("GET", "/test.txt", {}, {}, 86400, EXAMPLE)
    assert url == (
        "https://examplebucket.s3.amazonaws.com/test.txt"
        "?X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
        "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )


def test_request_that_is_sent_at_once_is_signed_as_of_its_minute() -> None:
    first = SIGNER.target("GET", "/a", EXAMPLE_S + 1)
    last = SIGNER.target("GET", "/a", EXAMPLE_S + 59.999_999)
    assert first == last
    assert SIGNER.url("GET", "/a", {}, {}, 900, EXAMPLE).endswith(first)
    assert SIGNER.target("GET", "/a", EXAMPLE_S + 60) != first


@pytest.mark.parametrize("other", [("GET", "/b"), ("HEAD", "/a")])
def test_signature_is_of_one_request(other: tuple[str, str]) -> None:
    assert _signature(SIGNER.target(*other, EXAMPLE_S)) != _signature(
        SIGNER.target("GET", "/a", EXAMPLE_S)
    )


def test_signatures_of_two_credentials_differ() -> None:
    other = Signer(SIGNER.endpoint, SIGNER.access_key, "another", SIGNER.region, tls=True)
    assert other.target("GET", "/a", EXAMPLE_S) != SIGNER.target("GET", "/a", EXAMPLE_S)


def _signature(target: str) -> str:
    return parse_qs(urlsplit(target).query)["X-Amz-Signature"][0]
