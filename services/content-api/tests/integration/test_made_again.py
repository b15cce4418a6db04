"""A package of a remote store that was made again with other bytes, of which no news came."""

import asyncio
import os

import pytest

from reelay.common.storage import StoreUnavailableError
from reelay.content_api.adapters.copies import RECHECK_S
from reelay.content_api.adapters.digests import ASK_AGAIN_S
from reelay.content_api.adapters.filling import DamagedObjectError, MadeAgainError
from reelay.content_api.adapters.object_cache import INDEX_AGE_S, VERIFY_S, ObjectCache

from .caching import LARGE, PACKAGE, Clock, Machine, RemoteStore, arriving, content, key

pytestmark = pytest.mark.integration

INDEX = "index.json"


async def store(remote: RemoteStore, objects: dict[str, bytes], *, whole: bool = True) -> None:
    """Let a package have these objects and no others."""
    async for info in remote.scan(PACKAGE + "/"):
        await remote.delete(info.key)
    for name, data in objects.items():
        await remote.put(key(name), data)
    if whole:
        await remote.put_index(**objects)


async def read_before(cache: ObjectCache, remote: RemoteStore, clock: Clock) -> None:
    """Let a cache have the first of two objects, and the index, of a package made before."""
    await store(remote, {"a": b"first a", "b": b"first b", "same": b"as ever"})
    assert await content(cache, "a") == b"first a"
    assert await content(cache, "same") == b"as ever"
    assert await content(cache, INDEX)
    clock.time_s += INDEX_AGE_S


@pytest.mark.parametrize("b", [b"again b", b"another b, of another size"])
async def test_objects_are_right_at_the_first_request(
    machine: Machine, remote: RemoteStore, clock: Clock, b: bytes
) -> None:
    cache = machine.start()
    await read_before(cache, remote, clock)
    told: list[str] = []
    cache.when_made_again(told.append)
    await store(remote, {"a": b"another a", "b": b, "same": b"as ever"})
    assert await content(cache, "b") == b
    assert await content(cache, "a") == b"another a", "copies of before are dropped"
    assert await content(cache, "same") == b"as ever"
    assert remote.reads["same"] == 1, "but for those that are right"
    assert await content(cache, INDEX) == await content(machine.start(), INDEX)
    assert told == [PACKAGE.removeprefix("packages/")]


@pytest.mark.parametrize(
    ("again", "after_s"), [(b"another a", RECHECK_S), (b"again a", VERIFY_S)], ids=["size", "bytes"]
)
async def test_copies_of_before_are_found_by_their_size_and_later_by_their_bytes(
    machine: Machine, remote: RemoteStore, clock: Clock, again: bytes, after_s: float
) -> None:
    cache = machine.start()
    await read_before(cache, remote, clock)
    await store(remote, {"a": again, "b": b"first b", "same": b"as ever"})
    clock.time_s += after_s + 1
    assert await content(cache, "a") == again


async def test_whoever_has_the_beginning_of_a_large_object_asks_again(
    machine: Machine, remote: RemoteStore, clock: Clock
) -> None:
    cache = machine.start()
    await store(remote, {"a": os.urandom(LARGE), "b": b"first b"})
    assert await content(cache, "b") == b"first b"
    clock.time_s += INDEX_AGE_S
    again = os.urandom(LARGE + 1000)
    await store(remote, {"a": again, "b": b"first b"})
    found = await arriving(cache, "a")
    assert found.size_bytes == LARGE, "nobody could tell yet"
    with pytest.raises(MadeAgainError):
        await found.whole()
    assert await content(cache, "a") == again
    assert await content(cache, "b") == b"first b"


async def test_many_who_ask_at_once_cost_the_store_little(
    machine: Machine, remote: RemoteStore, clock: Clock
) -> None:
    cache = machine.start()
    names = [f"{number}.m4s" for number in range(10)]
    await store(remote, {name: b"first" for name in (*names, "a")})
    assert await content(cache, "a") == b"first"
    clock.time_s += INDEX_AGE_S
    await store(remote, {name: b"again" for name in (*names, "a")})
    remote.reads.clear()
    told: list[str] = []
    cache.when_made_again(told.append)
    found = await asyncio.gather(*(content(cache, name) for name in names * 20))
    assert set(found) == {b"again"}
    assert remote.reads[INDEX] == 1
    assert max(remote.reads[name] for name in names) == 2
    assert len(told) == 1


async def test_damaged_object_drops_nothing_and_has_the_index_read_rarely(
    machine: Machine, remote: RemoteStore, clock: Clock
) -> None:
    cache = machine.start()
    await read_before(cache, remote, clock)
    await remote.delete(key("b"))
    await remote.put(key("b"), b"damaged")
    for _ in range(5):
        with pytest.raises(DamagedObjectError):
            await content(cache, "b")
    assert remote.reads[INDEX] == 3, "to look, for whoever asked for it, and once for the others"
    assert remote.reads["b"] == 5, "each request is one fetch"
    assert cache.peek(key("a")) is not None
    clock.time_s += INDEX_AGE_S
    with pytest.raises(DamagedObjectError):
        await content(cache, "b")
    assert remote.reads[INDEX] == 4


async def test_objects_of_a_package_that_is_just_being_made_again_are_served(
    machine: Machine, remote: RemoteStore, clock: Clock
) -> None:
    cache = machine.start()
    await read_before(cache, remote, clock)
    await store(remote, {"a": b"another a", "b": b"another b"}, whole=False)
    assert await content(cache, "b") == b"another b"
    assert await content(cache, "a") == b"another a"
    assert await content(cache, INDEX) is None
    await remote.put_index(a=b"another a", b=b"another b", c=b"c")
    await remote.put(key("c"), b"wrong")
    clock.time_s += ASK_AGAIN_S
    with pytest.raises(DamagedObjectError):
        await content(cache, "c")


async def test_index_that_cannot_be_read_now_changes_nothing(
    machine: Machine, remote: RemoteStore, clock: Clock
) -> None:
    cache = machine.start()
    await read_before(cache, remote, clock)
    await store(remote, {"a": b"another a", "b": b"another b"})
    remote.failing = {INDEX}
    with pytest.raises(StoreUnavailableError):
        await content(cache, "b")
    assert await content(cache, "a") == b"first a"
    remote.failing = set()
    assert await content(cache, "b") == b"another b"
    assert await content(cache, "a") == b"another a"
