"""The cache of remote objects: what is fetched, when, and what of it may be read."""

import asyncio
import os
from pathlib import Path

import pytest

from reelay.common.storage import StoreUnavailableError
from reelay.content_api.adapters.copies import KEEP_S, RECHECK_S, UNSURE_S
from reelay.content_api.adapters.digests import ASK_AGAIN_S
from reelay.content_api.adapters.filling import DamagedObjectError

from .caching import LARGE, Clock, Machine, RemoteStore, arriving, content, key

pytestmark = pytest.mark.integration


async def test_object_is_fetched_once_for_all_who_ask(
    machine: Machine, remote: RemoteStore
) -> None:
    cache = machine.start()
    data = await remote.put_large("a")
    assert cache.peek(key("a")) is None
    found = await asyncio.gather(*(content(cache, "a") for _ in range(100)))
    assert set(found) == {data}
    assert cache.peek(key("a")) is not None
    assert remote.reads["a"] == 1


async def test_bytes_that_arrived_are_readable_while_the_rest_is_on_its_way(
    machine: Machine, remote: RemoteStore
) -> None:
    cache = machine.start()
    data = await remote.put_large("a")
    remote.going_on.clear()
    async with asyncio.timeout(20):
        first = await arriving(cache, "a")
        assert await arriving(cache, "a") is first
        assert first.size_bytes == LARGE
        readable = await first.arrived(0)
        assert 0 < readable < LARGE
        assert Path(first.path).read_bytes()[:readable] == data[:readable]  # noqa: ASYNC240
        remote.going_on.set()
        assert await first.arrived(LARGE - 1) == LARGE
    assert remote.reads["a"] == 1


async def test_first_bytes_need_not_be_read_from_the_file(
    machine: Machine, remote: RemoteStore
) -> None:
    cache = machine.start()
    data = await remote.put_large("a")
    remote.going_on.clear()
    async with asyncio.timeout(20):
        first = await arriving(cache, "a")
        assert first.beginning
        assert data.startswith(first.beginning)
        remote.going_on.set()
        assert await first.arrived(LARGE - 1) == LARGE


async def test_first_bytes_of_an_anticipated_object_wait_for_no_file(
    machine: Machine, remote: RemoteStore
) -> None:
    cache = machine.start()
    data = await remote.put_large("a")
    await remote.put(key("b"), b"b")
    await remote.put_index(a=data, b=b"b")
    assert await content(cache, "b") == b"b"
    remote.going_on.clear()
    cache.anticipate(key("a"))
    remote.begun[key("a")](data[:1000])
    async with asyncio.timeout(20):
        first = await arriving(cache, "a")
        assert (first.beginning, first.size_bytes) == (data[:1000], LARGE)
        assert not Path(first.path).exists()  # noqa: ASYNC240
        readable = await first.arrived(0)
        assert Path(first.path).read_bytes()[:readable] == data[:readable]  # noqa: ASYNC240
        remote.going_on.set()
        assert await content(cache, "a") == data
    remote.begun[key("a")](b"late")
    assert await content(cache, "a") == data


@pytest.mark.parametrize("size_known", [True, False])
async def test_first_bytes_do_not_go_out_when_they_may_be_all(
    machine: Machine, remote: RemoteStore, *, size_known: bool
) -> None:
    """The last byte is for nobody before the digest was compared."""
    cache = machine.start()
    data = await remote.put_large("a")
    await remote.put(key("b"), b"b")
    await remote.put_index(b=b"b", **({"a": data} if size_known else {}))
    assert await content(cache, "b") == b"b"
    remote.going_on.clear()
    cache.anticipate(key("a"))
    remote.begun[key("a")](data)
    asking = asyncio.create_task(arriving(cache, "a"))
    await asyncio.sleep(0)
    assert not asking.done()
    remote.going_on.set()
    assert len((await asking).beginning) < LARGE
    assert await content(cache, "a") == data


async def test_anticipated_object_is_fetched_once_and_before_it_is_asked_for(
    machine: Machine, remote: RemoteStore
) -> None:
    cache = machine.start()
    data = await remote.put_large("a")
    for _ in range(3):
        cache.anticipate(key("a"))
    async with asyncio.timeout(20):
        while not remote.reads["a"]:  # noqa: ASYNC110 (no event)
            await asyncio.sleep(0.01)
        assert await content(cache, "a") == data
    cache.anticipate(key("a"))
    assert await content(cache, "a") == data
    assert remote.reads["a"] == 1
    cache.anticipate(key("absent"))
    assert await content(cache, "absent") is None


async def test_absent_object_is_asked_for_again(machine: Machine, remote: RemoteStore) -> None:
    cache = machine.start()
    assert await content(cache, "a") is None
    await remote.put(key("a"), b"x")
    assert await content(cache, "a") == b"x"
    await remote.put(key("empty"), b"")
    assert await content(cache, "empty") == b""


async def test_small_objects_are_served_from_memory(machine: Machine, remote: RemoteStore) -> None:
    cache = machine.start()
    await remote.put(key("a"), b"x" * 50)
    await content(cache, "a")
    file = cache.peek(key("a"))
    assert file is not None
    assert file.content == b"x" * 50


async def test_files_never_take_more_than_the_limit_but_for_those_just_used(
    machine: Machine, remote: RemoteStore, clock: Clock
) -> None:
    cache = machine.start(1_000_000)
    for number in range(8):
        await remote.put(key(str(number)), bytes([number]) * LARGE)
        await content(cache, str(number))
        clock.time_s += KEEP_S + 1
        assert sum(file.stat().st_size for file in machine.files()) <= 1_000_000
    for number in range(10, 18):
        await remote.put(key(str(number)), bytes([number]) * LARGE)
        await content(cache, str(number))
    assert len(machine.files()) == 8


async def test_object_other_than_the_index_says_is_never_complete_for_anybody(
    machine: Machine, remote: RemoteStore
) -> None:
    cache = machine.start()
    right, wrong = os.urandom(LARGE), os.urandom(LARGE)
    await remote.put_index(a=right, b=right)
    await remote.put(key("a"), wrong)
    await remote.put(key("b"), right)
    remote.going_on.clear()
    found = await arriving(cache, "a")
    remote.going_on.set()
    assert await found.arrived(LARGE - 10) <= LARGE - 1
    with pytest.raises(DamagedObjectError):
        await found.arrived(LARGE - 1)
    with pytest.raises(DamagedObjectError):
        await content(cache, "a")
    assert machine.files() == []
    assert await content(cache, "b") == right


async def test_index_that_comes_later_is_found(
    machine: Machine, remote: RemoteStore, clock: Clock
) -> None:
    cache = machine.start()
    await remote.put(key("a"), b"x")
    await content(cache, "a")
    await remote.put_index(b=b"y")
    await remote.put(key("b"), b"z")
    clock.time_s += ASK_AGAIN_S + 1
    with pytest.raises(DamagedObjectError):
        await content(cache, "b")


@pytest.mark.parametrize("index", [b"no json", b'{"objects": {"a": {"size": 1}}}'])
async def test_damaged_index_hinders_nobody(
    machine: Machine, remote: RemoteStore, index: bytes
) -> None:
    cache = machine.start()
    await remote.put(key("index.json"), index)
    await remote.put(key("a"), b"x")
    assert await content(cache, "a") == b"x"
    assert await content(cache, "index.json") == index


async def test_object_of_which_the_index_could_not_tell_is_checked_soon(
    machine: Machine, remote: RemoteStore, clock: Clock
) -> None:
    cache = machine.start()
    await remote.put_index(a=b"right")
    await remote.put(key("a"), b"wrong")
    remote.failing = {"index.json"}
    for _ in range(3):
        assert await content(cache, "a") == b"wrong", "nobody can tell"
        clock.time_s += UNSURE_S + 1
    assert remote.reads["a"] == 1
    remote.failing = set()
    with pytest.raises(StoreUnavailableError):
        await content(cache, "a")


async def test_left_copy_of_which_the_index_cannot_tell_is_checked_soon(
    machine: Machine, remote: RemoteStore, clock: Clock
) -> None:
    cache = machine.start()
    await remote.put(key("a"), b"wrong")
    assert await content(cache, "a") == b"wrong"
    await remote.put_index(a=b"right")
    remote.failing = {"index.json"}
    cache = await machine.restart(cache)
    assert await content(cache, "a") == b"wrong"
    remote.failing = set()
    clock.time_s += UNSURE_S + 1
    with pytest.raises(StoreUnavailableError):
        await content(cache, "a")


async def test_copy_is_served_while_the_store_is_away(
    machine: Machine, remote: RemoteStore, clock: Clock
) -> None:
    cache, data = await machine.start_with("a")
    remote.away = True
    clock.time_s += RECHECK_S + 1
    assert await content(cache, "a") == data
    cache = await machine.restart(cache)
    assert await content(cache, "a") == data


async def test_store_that_fails_on_the_way_leaves_nothing(
    machine: Machine, remote: RemoteStore
) -> None:
    cache = machine.start()
    data = await remote.put_large("a")
    remote.going_on.clear()
    found = await arriving(cache, "a")
    remote.away = True
    remote.going_on.set()
    with pytest.raises(StoreUnavailableError):
        await found.whole()
    with pytest.raises(StoreUnavailableError):
        await content(cache, "a")
    assert not list(machine.directory.glob("*/unfinished/*"))
    remote.away = False
    assert await content(cache, "a") == data


async def test_cache_that_cannot_be_written_is_an_outage(
    machine: Machine, remote: RemoteStore
) -> None:
    cache = machine.start()
    await remote.put(key("a"), b"x")
    folder = next(machine.directory.iterdir())
    (folder / "unfinished").rmdir()
    with pytest.raises(StoreUnavailableError):
        await content(cache, "a")
    (folder / "unfinished").mkdir()
    assert await content(cache, "a") == b"x"


async def test_fetch_that_ends_before_its_first_step_is_heard_of(
    machine: Machine, remote: RemoteStore
) -> None:
    cache, data = machine.start(), await remote.put_large("1.m4s")
    asking = asyncio.create_task(cache.find(key("1.m4s")))
    await asyncio.sleep(0)  # It asks; the fetch is to begin in the loop's next turn.
    cache.forget("ab" * 32)
    async with asyncio.timeout(10):
        with pytest.raises(StoreUnavailableError):
            await asking
        assert await content(cache, "1.m4s") == data
