"""Batches of segments of encoders, as messages bring them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from uuid import uuid4

import pytest

from reelay.common.commands import Lane
from reelay.common.events import SegmentReady
from reelay.common.messaging import Messaging
from reelay.common.service import background
from reelay.common.storage import assert_works
from reelay.packager.adapters.shaka import ShakaPackager
from reelay.packager.entrypoints.events import AT_ONCE, listen_to_encoders
from reelay.packager.handlers.bookkeeping import Bookkeeping, UnderWay
from reelay.packager.handlers.packaging import BATCH, Packaging
from reelay.packager.handlers.repairing import Repairing
from reelay.packager.handlers.upkeep import made_consumer

from .house import House

pytestmark = pytest.mark.integration

NEVER_S = 3600.0
"""A linger that no test outlasts: only a full batch ends it."""


class NotedBatches(Bookkeeping):
    """Notes which batches come; wants no segment; holds those of the ladder back when told to."""

    def __init__(self, house: House) -> None:
        super().__init__(house.outbox, house.store, house.dispatcher)
        self.batches: list[list[SegmentReady]] = []
        self._news, self.may_go_on = asyncio.Event(), asyncio.Event()
        self.may_go_on.set()

    async def wanted(
        self, batch: Sequence[SegmentReady]
    ) -> tuple[list[SegmentReady], dict[str, UnderWay]]:
        """See Bookkeeping."""
        self.batches.append(list(batch))
        self._news.set()
        if batch[0].lane == Lane.LADDER:
            await self.may_go_on.wait()
        return [], {}

    async def until(self, segments: int, lane: Lane = Lane.LADDER) -> None:
        """Wait until batches with so many segments of a lane have come."""
        async with asyncio.timeout(60):
            while sum(ready.lane == lane for each in self.batches for ready in each) < segments:
                self._news.clear()
                await self._news.wait()


@pytest.fixture
def books(house: House) -> NotedBatches:
    return NotedBatches(house)


@asynccontextmanager
async def packaging(house: House, books: NotedBatches) -> AsyncIterator[None]:
    """Package what is announced, for the block; the ladder's segments wait for a full batch."""
    repairing = Repairing(house.outbox, house.store, house.dispatcher)
    shaka = ShakaPackager("/nowhere/packager")
    use_case = Packaging(
        house.store, shaka, books, repairing, house.messaging.tell, linger_s=NEVER_S
    )
    check = partial(assert_works, house.store)
    listen_to_encoders(house.messaging, use_case, books, house.census, check)
    async with background(use_case.run()):
        await house.messaging.start()
        yield


async def announce(house: House, lane: Lane, count: int) -> None:
    for number in range(1, count + 1):
        await house.messaging.publish(
            SegmentReady(
                task_id=uuid4(),
                package_id="p",
                rendition="360p",
                number=number,
                lane=lane,
                staging_key=f"staging/{lane}/{number}",
                size_bytes=1,
            )
        )


async def until_in_hand(messaging: Messaging, lane: Lane, count: int) -> None:
    """Wait until so many segments of a lane are in hand."""
    made = made_consumer(lane)
    async with asyncio.timeout(60):
        while True:
            info = await messaging.jetstream.consumer_info(made.stream, made.durable)
            if info.num_ack_pending == count:
                return
            await asyncio.sleep(0.01)


async def test_full_batches_of_the_ladder_wait_for_nothing(
    house: House, books: NotedBatches
) -> None:
    async with packaging(house, books):
        await announce(house, Lane.LADDER, 4 * BATCH)
        await books.until(4 * BATCH)
    assert [len(batch) for batch in books.batches] == [BATCH] * 4


async def test_next_batch_gathers_while_one_is_packaged(house: House, books: NotedBatches) -> None:
    books.may_go_on.clear()
    async with packaging(house, books):
        await announce(house, Lane.LADDER, 3 * BATCH)
        await until_in_hand(house.messaging, Lane.LADDER, 2 * BATCH)
        await books.until(BATCH)
        assert [len(batch) for batch in books.batches] == [BATCH]
        books.may_go_on.set()
        await books.until(3 * BATCH)
    assert [len(batch) for batch in books.batches] == [BATCH] * 3


@pytest.mark.parametrize("lane", [Lane.ONDEMAND, Lane.OPENING])
async def test_what_viewers_wait_for_is_packaged_beside_a_full_hand_of_the_ladder(
    house: House, books: NotedBatches, lane: Lane
) -> None:
    books.may_go_on.clear()
    async with packaging(house, books):
        await announce(house, Lane.LADDER, 3 * BATCH)
        await until_in_hand(house.messaging, Lane.LADDER, AT_ONCE[Lane.LADDER])
        await announce(house, lane, 2 * AT_ONCE[lane])
        await books.until(2 * AT_ONCE[lane], lane)
        await books.until(BATCH)
        assert sum(ready.lane == Lane.LADDER for each in books.batches for ready in each) == BATCH
        books.may_go_on.set()
        await books.until(3 * BATCH)
