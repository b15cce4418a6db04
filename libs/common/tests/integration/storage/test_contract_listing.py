"""How objects are listed, held against every adapter."""

import asyncio

import pytest

from reelay.common.storage import ObjectStore

from .reading import names

pytestmark = pytest.mark.integration


async def test_scan_is_ordered_by_whole_keys(any_store: ObjectStore) -> None:
    keys = ["o/a/b", "o/a/b-1", "o/a-b", "o/a.b", "o/a1", "o/aZ", "o/a_b", "o/b", "p", "o0"]
    for key in keys:
        await any_store.put(key, b"x")
    assert await names(any_store, "") == sorted(keys)
    for prefix in ("o", "o/", "o/a", "o/a/", "o/a/b", "o/a-", "o/zz", "zz/", "p", "p/"):
        assert await names(any_store, prefix) == sorted(k for k in keys if k.startswith(prefix))


async def test_scan_of_more_than_a_page_is_complete_and_ordered(any_store: ObjectStore) -> None:
    keys = [f"many/{n % 3}/{n}.m4s" for n in range(1_020)] + ["many/0-x", "many/1.x"]
    limit = asyncio.Semaphore(16)

    async def put(key: str) -> None:
        async with limit:
            await any_store.put(key, b"")

    await asyncio.gather(*map(put, keys))
    assert await names(any_store, "many/") == sorted(keys)


async def test_fresh_store_passes_its_check_and_is_empty(any_store: ObjectStore) -> None:
    assert await names(any_store, "") == []
    await any_store.check()
    assert await names(any_store, "") == []
