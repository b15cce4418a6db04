"""Objects of what nothing needs are deleted many at a time, and all of them."""

import asyncio
import threading

import pytest

from reelay.common.storage import StoreUnavailableError
from reelay.packager.handlers.removing import AT_ONCE, delete_all

from .house import House
from .test_collecting import ASSET, collected, delete

pytestmark = pytest.mark.integration


async def test_objects_of_a_long_film_are_deleted_many_at_a_time(house: House) -> None:
    package_id, video = await house.request(ASSET, seconds=600)
    await house.make_all()
    await delete(house, video)
    count = len(await house.stored(f"packages/{package_id}/"))
    remove, under_way, most = house.store.delete, 0, 0

    async def slowly(key: str) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.01)
        await remove(key)
        under_way -= 1

    house.store.delete = slowly  # type: ignore[method-assign]  # the store is this test's own
    [removal] = await collected(house)
    assert (removal.objects, most) == (count - 1, AT_ONCE)
    assert await house.stored("") == []


@pytest.mark.parametrize("ends", ["by an outage", "by a cancellation"])
async def test_nothing_is_being_deleted_any_more_when_a_deletion_ended(
    house: House, ends: str
) -> None:
    for number in range(100):
        await house.store.put(f"packages/{number}", b"x")
    objects = [info async for info in house.store.scan("packages/")]
    begun, remove, gate = 0, house.store.delete, threading.Event()

    def in_a_thread() -> None:
        gate.wait()

    async def slowly(key: str) -> None:
        nonlocal begun
        begun += 1
        if begun == AT_ONCE and ends == "by an outage":
            raise StoreUnavailableError
        await asyncio.to_thread(in_a_thread)
        await remove(key)

    house.store.delete = slowly  # type: ignore[method-assign]  # the store is this test's own
    deleting = asyncio.create_task(delete_all(house.store, objects))
    while begun < AT_ONCE:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    for _ in range(2 if ends == "by a cancellation" else 0):
        deleting.cancel()
        await asyncio.sleep(0.05)
    assert not deleting.done()
    gate.set()
    with pytest.raises((StoreUnavailableError, asyncio.CancelledError)):
        await deleting
    left = await house.stored("packages/")
    await asyncio.sleep(0.2)
    assert await house.stored("packages/") == left
    assert begun == AT_ONCE


async def test_store_that_fails_while_objects_are_deleted_leaves_the_rest_for_later(
    house: House,
) -> None:
    package_id, video = await house.request(ASSET, seconds=600)
    await house.make_all()
    await delete(house, video)
    remove, asked = house.store.delete, 0

    async def fail(key: str) -> None:
        nonlocal asked
        asked += 1
        if asked == 50:
            raise StoreUnavailableError
        await remove(key)

    house.store.delete = fail  # type: ignore[method-assign]  # the store is this test's own
    with pytest.raises(StoreUnavailableError):
        await collected(house)
    asked_then = asked
    await asyncio.sleep(0.2)
    assert asked == asked_then
    assert [r.name for r in await collected(house)] == [package_id]
    assert await house.stored("") == []
