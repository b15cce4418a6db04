"""Which keys are refused, and where, held against every adapter."""

import pytest

from reelay.common.storage import InvalidKeyError, ObjectMissingError, ObjectStore, read_all

from .reading import names

pytestmark = pytest.mark.integration

MALFORMED = [
    "",
    "/x",
    "x/",
    "../x",
    "x/..",
    "a/../b",
    "a//b",
    "a/./b",
    ".tmp/x",
    "a/.hidden",
    "a\0b",
    "a\n",
    "a b",
    "a\\b",
    "a%2fb",
    "ä/b",
    "a/\u202e",
    "k" * 513,
    "a/" + "k" * 256,
]


async def test_name_of_a_directory_is_no_object(any_store: ObjectStore) -> None:
    await any_store.put("a/b/c", b"x")
    with pytest.raises(ObjectMissingError):
        await any_store.head("a/b")
    with pytest.raises(ObjectMissingError):
        await read_all(any_store, "a/b")
    await any_store.delete("a/b")
    with pytest.raises(InvalidKeyError):
        await any_store.put("a/b", b"y")
    assert await names(any_store, "") == ["a/b/c"]


@pytest.mark.parametrize("key", MALFORMED, ids=range(len(MALFORMED)))
async def test_malformed_key_is_refused_everywhere(any_store: ObjectStore, key: str) -> None:
    with pytest.raises(InvalidKeyError):
        await any_store.put(key, b"x")
    with pytest.raises(InvalidKeyError):
        await any_store.head(key)
    with pytest.raises(InvalidKeyError):
        await read_all(any_store, key)
    with pytest.raises(InvalidKeyError):
        await any_store.delete(key)
    with pytest.raises(InvalidKeyError):
        any_store.local_path(key)
    with pytest.raises(InvalidKeyError):
        await any_store.begin_parts(key)
    with pytest.raises(InvalidKeyError):
        await any_store.put_part(key, "attempt", 1, b"x")
    with pytest.raises(InvalidKeyError):
        await any_store.complete_parts(key, "attempt", ["tag"])
    with pytest.raises(InvalidKeyError):
        await any_store.abort_parts(key, "attempt")


@pytest.mark.parametrize("prefix", ["/", "../", "a/..", "a//", ".tmp", "a\0"])
async def test_malformed_prefix_is_refused(any_store: ObjectStore, prefix: str) -> None:
    with pytest.raises(InvalidKeyError):
        await names(any_store, prefix)
