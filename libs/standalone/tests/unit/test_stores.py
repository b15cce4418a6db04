"""Where a store is, as people are told."""

import pytest

from reelay.standalone.stores import UNREADABLE, place


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://key:hidden@host:9000/bucket/?tls=1&region=eu", "s3://host:9000/bucket"),
        ("s3://key:not/hid@hidden@host/bucket", "s3://host/bucket"),
        ("file:///mnt/a@b/", "file:///mnt/a@b"),
    ],
)
def test_place_of_a_store_shows_no_secret(url: str, shown: str) -> None:
    assert place(url) == shown


@pytest.mark.parametrize("secret", ["se#cret", "se?cret", "se\u2100cret"])
def test_url_that_cannot_be_taken_apart_is_refused_without_its_secret(secret: str) -> None:
    with pytest.raises(ValueError, match="percent-encoded") as refused:
        place(f"s3://AKIA:{secret}@host:9000/bucket")
    assert str(refused.value) == UNREADABLE
