"""How demand comes to the packager, over a real NATS, and what it costs."""

import asyncio
import time
from collections.abc import Callable

import pytest

from reelay.common.commands import DemandWithdrawn, SegmentDemanded
from reelay.packager.domain.demand import Wanted
from reelay.packager.entrypoints.events import listen_to_viewers

from .house import House

pytestmark = pytest.mark.integration

ENOUGH_S = 60.0


async def until(true: Callable[[], bool]) -> None:
    """Return when something is true."""
    async with asyncio.timeout(ENOUGH_S):
        while not true():  # noqa: ASYNC110 (nobody tells of it)
            await asyncio.sleep(0.005)


async def test_viewers_who_wait_and_who_leave_are_heard(house: House) -> None:
    film = await house.add("a")
    wanted = Wanted(film.package_id, "video/360p", 20)
    waits = SegmentDemanded(
        package_id=film.package_id, path="video/360p/20.m4s", viewer="v", teller="here"
    )
    listen_to_viewers(house.messaging, house.demanding)
    await house.messaging.start()
    await house.messaging.tell(waits)
    await until(lambda: house.board.waiting(time.monotonic()) == [wanted])
    await house.messaging.tell(DemandWithdrawn(**waits.model_dump()))
    # By a clock that stands still: nothing lapses.
    heard_s = time.monotonic()
    await until(lambda: house.board.waiting(heard_s) == [])
