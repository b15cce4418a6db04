"""What demand sets going, with a hand-written dispatcher."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from reelay.common.commands import SegmentDemanded
from reelay.common.errors import OutageError
from reelay.packager.domain.demand import DemandBoard, Wanted
from reelay.packager.handlers.demanding import Demanding

ENOUGH_S = 60.0
FILM = "a" * 64
WANTED = SegmentDemanded(package_id=FILM, path="video/360p/7.m4s", viewer="home-tv")
OPENING = Wanted(FILM, "video/360p", 1)


class Packager:
    """An outbox that may be away, and a dispatcher that counts; time passes only when it rests."""

    def __init__(self) -> None:
        self.under_way = {FILM}
        self.outages = 0
        self.tried = self.dispatched = 0
        self.board = DemandBoard()
        me = cast(Any, self)
        self.demanding = Demanding(me, me, self.board)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        self.tried += 1
        if self.tried <= self.outages:
            raise OutageError("The database is away.")
        yield

    async def dispatch(self, _: None) -> None:
        self.dispatched += 1

    def opens_with(self, wanted: Wanted) -> bool:
        return wanted == OPENING

    async def hear(self, demand: SegmentDemanded) -> int:
        """Hear a demand; return how many dispatches were tried since the beginning."""
        await self.demanding.hear(demand)
        for _ in range(5):  # whoever is woken has begun by then
            await asyncio.sleep(0)
        return self.tried


@pytest.fixture
async def packager() -> AsyncIterator[Packager]:
    packager = Packager()
    running = asyncio.create_task(packager.demanding.run())
    yield packager
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_demand_is_dispatched_once_while_it_is_repeated(packager: Packager) -> None:
    assert await packager.hear(WANTED) == 1
    assert await packager.hear(WANTED) == 1
    assert await packager.hear(WANTED.model_copy(update={"viewer": "home-phone"})) == 1
    assert packager.dispatched == 1


@pytest.mark.parametrize(
    "demand",
    [
        WANTED.model_copy(update={"package_id": "b" * 64}),
        WANTED.model_copy(update={"path": "video/360p/1.m4s"}),
        WANTED.model_copy(update={"path": "master.m3u8"}),
    ],
    ids=["no-work", "opening", "no-segment"],
)
async def test_demand_that_nothing_comes_of_costs_nothing(
    packager: Packager, demand: SegmentDemanded
) -> None:
    assert await packager.hear(demand) == 0
    assert packager.board.waiting(0.0) == []
    assert await packager.hear(WANTED) == 1


async def test_failed_dispatch_is_tried_again_without_another_demand(packager: Packager) -> None:
    packager.outages = 2
    started_s = asyncio.get_running_loop().time()
    assert await packager.hear(WANTED) == 1
    async with asyncio.timeout(ENOUGH_S):
        while not packager.dispatched:  # noqa: ASYNC110 (nobody tells of it)
            await asyncio.sleep(0.01)
    assert packager.tried == 3
    assert asyncio.get_running_loop().time() - started_s > 0.5
    assert await packager.hear(WANTED) == 3


async def test_what_still_waits_is_looked_at_again(packager: Packager) -> None:
    assert await packager.hear(WANTED) == 1
    async with asyncio.timeout(ENOUGH_S):
        while packager.dispatched < 2:  # noqa: ASYNC110 (nobody tells of it)
            await asyncio.sleep(0.01)
