"""A viewer who leaves waits for nothing any more, and packagers are told so at once."""

import asyncio

import pytest

from reelay.content_api.domain.names import ContentName
from reelay.content_api.domain.news import News
from reelay.content_api.domain.ports import Found, StoredFile
from reelay.content_api.handlers.waiting import (
    ClientGoneError,
    NotYetError,
    TooManyWaitingError,
    Visitor,
    WaitingLimits,
    WaitingRoom,
)

from ..waiting import NotedDemand, Shelf, leaves

NAME = ContentName("a" * 64, "video/360p/1.m4s")
OTHER = ContentName("a" * 64, "video/360p/2.m4s")
FILE = StoredFile("/store/1", 1)
ENOUGH_S = 60.0

Asked = tuple[asyncio.Task[Found], asyncio.Event]
"""A request, and what ends the client's connection."""


class Room(WaitingRoom):
    """A room that notes what is demanded of it, and of which clients leave one by one."""

    def __init__(self, wait_s: float = ENOUGH_S, total: int = 10) -> None:
        self.shelf, self.demand = Shelf(), NotedDemand()
        limits = WaitingLimits(wait_s=wait_s, repeat_s=ENOUGH_S, total=total)
        super().__init__(self.shelf.look, self.shelf.glance, self.demand, limits)

    def ask(
        self, viewer: str, name: ContentName = NAME
    ) -> tuple[asyncio.Task[Found], asyncio.Event]:
        """Begin to wait; return the request, and what ends the client's connection."""
        end = asyncio.Event()
        return asyncio.create_task(self.wait(name, None, Visitor(viewer, leaves(end)))), end

    async def told(self, count: int) -> None:
        """Return when so many demands were told."""
        async with asyncio.timeout(ENOUGH_S):
            while len(self.demand.told) < count:  # noqa: ASYNC110 (every turn of the loop counts)
                await asyncio.sleep(0)


async def leave(request: asyncio.Task[Found], end: asyncio.Event) -> None:
    end.set()
    with pytest.raises(ClientGoneError):
        await request


async def test_who_leaves_is_told_of() -> None:
    room = Room()
    request, end = room.ask("home-tv")
    await room.told(1)
    await leave(request, end)
    assert room.demand.withdrawn == [(NAME, "home-tv")]


async def test_who_waits_with_another_request_has_not_left() -> None:
    room = Room()
    first, second = room.ask("home-tv"), room.ask("home-tv")
    elsewhere = room.ask("home-tv", OTHER)
    await room.told(2)
    await leave(*first)
    assert room.demand.withdrawn == []
    await leave(*second)
    assert room.demand.withdrawn == [(NAME, "home-tv")]
    await leave(*elsewhere)
    assert room.demand.withdrawn[1:] == [(OTHER, "home-tv")]


async def test_who_leaves_others_that_wait_is_told_of_alone() -> None:
    room = Room()
    leaving, staying = room.ask("home-tv"), room.ask("home-phone")
    await room.told(2)
    await leave(*leaving)
    assert room.demand.withdrawn == [(NAME, "home-tv")]
    assert not staying[0].done()
    room.close()
    await asyncio.gather(staying[0], return_exceptions=True)


async def test_who_got_the_object_has_nothing_to_withdraw() -> None:
    room = Room()
    request, end = room.ask("home-tv")
    await room.told(1)
    room.shelf.file = FILE
    room.wake(News(NAME.package_id))
    assert await request == FILE
    end.set()
    await asyncio.sleep(0)
    assert room.demand.withdrawn == []


async def test_who_is_told_to_ask_again_keeps_the_demand_until_then() -> None:
    room = Room(wait_s=0.05)
    with pytest.raises(NotYetError):
        await room.ask("home-tv")[0]
    full = Room(total=1)
    greedy, _ = full.ask("greedy-player")
    await full.told(1)
    refused, _ = full.ask("greedy-player", OTHER)
    with pytest.raises(TooManyWaitingError):
        await refused
    full.close()
    with pytest.raises(NotYetError):
        await greedy
    assert room.demand.withdrawn == full.demand.withdrawn == []
