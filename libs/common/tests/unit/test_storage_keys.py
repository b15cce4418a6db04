"""Keys and store URLs: what is accepted, and that no key reaches outside the store."""

import os
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reelay.common.storage import InvalidKeyError, open_store
from reelay.common.storage.port import check_key, check_prefix
from reelay.common.storage.s3 import S3ObjectStore

ROOT = "/srv/store"
PIECES = st.lists(st.sampled_from(["a", "Z", "0", ".", "..", "/", "-", "_", "\0", "\n", "~", "%"]))
TEXTS = st.one_of(
    st.text(), PIECES.map("".join), st.from_regex(r"[a-z0-9./_-]{1,40}", fullmatch=True)
)


@settings(deadline=None)
@given(TEXTS)
@example("a/..")
@example("a\n")
@example("..")
def test_accepted_key_names_one_path_below_the_root(key: str) -> None:
    try:
        check_key(key)
    except InvalidKeyError:
        return
    path = os.path.normpath(os.path.join(ROOT, key))
    assert path == f"{ROOT}/{key}"
    assert path.startswith(f"{ROOT}/")
    assert not any(part.startswith(".") or len(part) > 255 for part in Path(key).parts)
    assert key.isascii()
    assert key.isprintable()


@settings(deadline=None)
@given(TEXTS, st.integers(0, 40))
def test_every_beginning_of_a_key_is_a_prefix(key: str, cut: int) -> None:
    try:
        check_key(key)
    except InvalidKeyError:
        return
    prefix = key[:cut]
    assert check_prefix(prefix) == prefix


@pytest.mark.parametrize("key", ["packages/0af3/v0/1.m4s", "sources/0190-ab", "a..b/c.", "0/_-"])
def test_key_with_dots_and_dashes_inside_names_is_accepted(key: str) -> None:
    assert check_key(key) == key


def test_file_url_opens_a_filesystem_store(tmp_path: Path) -> None:
    store = open_store((tmp_path / "with space").as_uri())
    assert store.local_path("a/b") == tmp_path.resolve() / "with space" / "a" / "b"


def test_s3_url_opens_an_s3_store_without_a_request() -> None:
    for options in ("", "?tls=1", "?tls=1&region=eu-west-1"):
        store = open_store(f"s3://key:sec%2Fret@127.0.0.1:9/bucket{options}")
        assert isinstance(store, S3ObjectStore)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/srv/store",
        "file:relative",
        "file://host/path",
        "http://host/bucket",
        "s3://host/bucket",
        "s3://key@host/bucket",
        "s3://key:hidden@host",
        "s3://key:hidden@host/bucket/folder",
        "s3://key:hidden@host/bucket?tsl=1",
        "s3://key:hidden@host/bucket?tls=yes",
        "s3://key:not/hidden@host/bucket",
        "s3://key:not/hid@hidden@host/bucket",
    ],
)
def test_other_url_is_refused_without_showing_its_secret(url: str) -> None:
    with pytest.raises(ValueError, match="is no object store") as refusal:
        open_store(url)
    assert "hidden" not in str(refusal.value)
