"""The waiting room, with a hand-written store and packager."""

import asyncio
from dataclasses import replace

import pytest

from reelay.common.storage import StoreUnavailableError
from reelay.content_api.domain.names import ContentName
from reelay.content_api.domain.news import News
from reelay.content_api.domain.ports import StoredFile
from reelay.content_api.handlers.waiting import (
    ClientGoneError,
    NotYetError,
    TooManyWaitingError,
    Visitor,
    WaitingLimits,
    WaitingRoom,
)

from ..waiting import NotedDemand, Shelf, leaves, never

NAME = ContentName("a" * 64, "video/360p/1.m4s")
OTHER = ContentName("a" * 64, "video/360p/2.m4s")
ELSEWHERE = ContentName("b" * 64, "video/360p/1.m4s")
FILE = StoredFile("/store/1", 1)
LIMITS = WaitingLimits(wait_s=20, repeat_s=0.05, total=4, per_package=3)
BRIEF = replace(LIMITS, wait_s=0.3)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def demand() -> NotedDemand:
    return NotedDemand()


@pytest.fixture
def room(shelf: Shelf, demand: NotedDemand) -> WaitingRoom:
    return WaitingRoom(shelf.look, shelf.glance, demand, LIMITS)


def patient(shelf: Shelf, demand: NotedDemand) -> WaitingRoom:
    """Return a room that looks by itself only after a long time."""
    return WaitingRoom(shelf.look, shelf.glance, demand, WaitingLimits(wait_s=20, repeat_s=20))


async def test_waiting_ends_after_the_time_limit(shelf: Shelf, demand: NotedDemand) -> None:
    room = WaitingRoom(shelf.look, shelf.glance, demand, BRIEF)
    with pytest.raises(NotYetError):
        await room.wait(NAME, "360p", Visitor("v", never))
    count = len(demand.told)
    assert 2 <= count <= 7
    await asyncio.sleep(0.15)
    assert len(demand.told) == count


async def test_object_is_found_without_news(room: WaitingRoom, shelf: Shelf) -> None:
    waiting = asyncio.create_task(room.wait(NAME, "360p", Visitor("v", never)))
    await asyncio.sleep(0.02)
    shelf.file = FILE
    assert await waiting == FILE


async def test_news_of_the_rendition_wake_at_once(shelf: Shelf, demand: NotedDemand) -> None:
    room = patient(shelf, demand)
    waiting = asyncio.create_task(room.wait(NAME, "360p", Visitor("v", never)))
    await asyncio.sleep(0.02)
    shelf.file = FILE
    room.wake(News(ELSEWHERE.package_id))
    room.wake(News(NAME.package_id, {"720p": [1]}))
    room.wake(News(NAME.package_id, {"360p": [2, 3]}))
    await asyncio.sleep(0.02)
    assert not waiting.done()
    room.wake(News(NAME.package_id, {"360p": [1]}))
    async with asyncio.timeout(20):
        assert await waiting == FILE
    assert demand.told == [NAME]


async def test_news_while_looking_are_not_lost(shelf: Shelf, demand: NotedDemand) -> None:
    room = patient(shelf, demand)
    waiting = asyncio.create_task(room.wait(NAME, "360p", Visitor("v", never)))
    await asyncio.sleep(0)
    room.wake(News(NAME.package_id))
    await shelf.looking.wait()
    shelf.file = FILE
    room.wake(News(NAME.package_id))
    async with asyncio.timeout(20):
        assert await waiting == FILE


async def test_look_that_began_before_the_news_is_repeated_when_its_newcomer_waits(
    shelf: Shelf, demand: NotedDemand
) -> None:
    room = patient(shelf, demand)
    first = asyncio.create_task(room.wait(NAME, "360p", Visitor("v", never)))
    await asyncio.sleep(0)
    room.wake(News(NAME.package_id, {"360p": [1]}))
    await shelf.looking.wait()
    await asyncio.sleep(0.02)
    assert not first.done(), "it shared a look that began earlier"
    shelf.file = FILE
    second = asyncio.create_task(room.wait(NAME, "360p", Visitor("w", never)))
    async with asyncio.timeout(20):
        assert await asyncio.gather(first, second) == [FILE, FILE]


async def test_all_who_wait_for_one_object_share_one_demand(
    shelf: Shelf, demand: NotedDemand
) -> None:
    room = patient(shelf, demand)
    waiting = [asyncio.create_task(room.wait(NAME, None, Visitor("v", never))) for _ in range(50)]
    await asyncio.sleep(0.02)
    assert demand.told == [NAME]
    shelf.file = FILE
    room.wake(News(NAME.package_id))
    assert await asyncio.gather(*waiting) == [FILE] * 50
    assert shelf.looks == 1


async def test_demand_ends_when_the_last_client_leaves(
    room: WaitingRoom, demand: NotedDemand
) -> None:
    leaving = [asyncio.Event(), asyncio.Event()]
    waiting = [asyncio.create_task(room.wait(NAME, None, Visitor("v", leaves(e)))) for e in leaving]
    await asyncio.sleep(0.02)
    leaving[0].set()
    with pytest.raises(ClientGoneError):
        await waiting[0]
    told = len(demand.told)
    await asyncio.sleep(0.12)
    assert len(demand.told) > told
    leaving[1].set()
    with pytest.raises(ClientGoneError):
        await waiting[1]
    told = len(demand.told)
    await asyncio.sleep(0.12)
    assert len(demand.told) == told


async def test_failure_is_told_to_everybody(room: WaitingRoom, shelf: Shelf) -> None:
    shelf.error = PermissionError("never")
    waiting = [asyncio.create_task(room.wait(NAME, None, Visitor("v", never))) for _ in range(3)]
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [PermissionError] * 3
    shelf.error, shelf.file = None, FILE
    assert await room.wait(NAME, None, Visitor("v", never)) == FILE


async def test_outage_of_the_store_is_waited_for(room: WaitingRoom, shelf: Shelf) -> None:
    shelf.error = StoreUnavailableError()
    waiting = asyncio.create_task(room.wait(NAME, None, Visitor("v", never)))
    await asyncio.sleep(0.08)
    shelf.error, shelf.file = None, FILE
    assert await waiting == FILE


async def test_more_than_the_limits_are_refused_and_room_is_free_again(
    room: WaitingRoom, shelf: Shelf
) -> None:
    gone = asyncio.Event()
    leaving = Visitor("v", leaves(gone))
    waiting = [asyncio.create_task(room.wait(n, None, leaving)) for n in (NAME, NAME, OTHER)]
    await asyncio.sleep(0.02)
    with pytest.raises(TooManyWaitingError):
        await room.wait(OTHER, None, Visitor("v", never))
    waiting.append(asyncio.create_task(room.wait(ELSEWHERE, None, leaving)))
    await asyncio.sleep(0.02)
    with pytest.raises(TooManyWaitingError):
        await room.wait(ELSEWHERE, None, Visitor("v", never))
    gone.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(result) for result in results} == {ClientGoneError}
    shelf.file = FILE
    for name in (NAME, NAME, OTHER, ELSEWHERE):
        assert await room.wait(name, None, Visitor("v", never)) == FILE


async def test_closing_sends_everybody_away(shelf: Shelf, demand: NotedDemand) -> None:
    room = patient(shelf, demand)
    waiting = asyncio.create_task(room.wait(NAME, None, Visitor("v", never)))
    await asyncio.sleep(0.02)
    room.close()
    with pytest.raises(NotYetError):
        await waiting
    with pytest.raises(TooManyWaitingError):
        await room.wait(NAME, None, Visitor("v", never))
