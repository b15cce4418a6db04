"""How demand comes to the packager, over a real NATS, and what it costs."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest

from reelay.common.commands import DemandWithdrawn, SegmentDemanded
from reelay.common.events import Event, PackageRemoved, TranscodeFailed
from reelay.common.outbox import Outbox, Transaction
from reelay.packager.adapters import repository
from reelay.packager.domain.demand import ANSWERED_S, Wanted
from reelay.packager.domain.plan import Plan
from reelay.packager.entrypoints.events import listen_to_viewers
from reelay.packager.handlers import opening
from reelay.packager.handlers.demanding import Demanding

from .house import House
from .test_crossing import until_waiting

pytestmark = pytest.mark.integration

ENOUGH_S = 60.0


async def until(true: Callable[[], bool]) -> None:
    """Return when something is true."""
    async with asyncio.timeout(ENOUGH_S):
        while not true():  # noqa: ASYNC110 (nobody tells of it)
            await asyncio.sleep(0.005)


class CountedOutbox(Outbox):
    """Counts transactions that are begun, and that have ended."""

    begun = ended = 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        self.begun += 1
        async with super().transaction() as tx:
            yield tx
        self.ended += 1


class Viewing:
    """Demanding that runs, on an outbox of its own."""

    def __init__(self, house: House) -> None:
        self.outbox = CountedOutbox(house.database, house.messaging)
        self.demanding = Demanding(self.outbox, house.dispatcher, house.board)

    async def cost(self, package_id: str, path: str, times: int = 1) -> int:
        """Hear a demand so many times, one after the other; return how many dispatches it cost."""
        before = self.outbox.begun
        for _ in range(times):
            await self.demanding.hear(
                SegmentDemanded(package_id=package_id, path=path, viewer="home-tv")
            )
            for _ in range(5):  # whoever is woken has begun by then
                await asyncio.sleep(0)
            await until(lambda: self.outbox.ended == self.outbox.begun)
        return self.outbox.begun - before


@pytest.fixture
async def viewing(house: House) -> AsyncIterator[Viewing]:
    viewing = Viewing(house)
    running = asyncio.create_task(viewing.demanding.run())
    yield viewing
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_demand_that_nothing_can_come_of_costs_nothing(
    house: House, viewing: Viewing
) -> None:
    film = await house.add("a")
    for path in ("master.m3u8", "../../etc/passwd", "video/360p/x.m4s"):
        assert await viewing.cost(film.package_id, path) == 0
    assert await viewing.cost("f" * 64, "video/360p/20.m4s") == 0
    assert await viewing.cost(film.package_id, "video/360p/20.m4s") == 1


async def test_demand_for_what_was_just_opened_costs_nothing(
    house: House, viewing: Viewing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "OPENING_SOON_S", ENOUGH_S)  # however slow this machine is
    package_id, _ = await house.request(uuid4().hex * 2)
    for path in ("video/360p/1.m4s", "video/360p/init.mp4", "audio/main/1.m4s"):
        assert await viewing.cost(package_id, path) == 0
    assert await viewing.cost(package_id, "video/360p/6.m4s") == 1


async def test_demand_for_what_was_never_promised_costs_one_dispatch(
    house: House, viewing: Viewing
) -> None:
    film = await house.add("a")
    for path in ("video/360p/9999.m4s", "video/999p/3.m4s"):
        started_s = time.monotonic()
        cost = await viewing.cost(film.package_id, path, times=20)
        assert 1 <= cost <= 1 + (time.monotonic() - started_s) / ANSWERED_S


def failed(film: Plan) -> TranscodeFailed:
    return TranscodeFailed(asset_id="a" * 64, reason="No.", package_id=film.package_id)


def ends(film: Plan) -> list[Event]:
    """Return the facts after which a package has no work."""
    return [failed(film), PackageRemoved(package_id=film.package_id)]


@pytest.mark.parametrize("which", [0, 1], ids=["failed", "removed"])
async def test_demand_for_a_package_that_is_over_costs_nothing(
    house: House, viewing: Viewing, which: int
) -> None:
    film, other = await house.add("a"), await house.add("b")
    listen_to_viewers(house.messaging, viewing.demanding)
    await house.messaging.start()
    async with house.database.transaction() as session:
        row = await repository.lock(session, film.package_id)
        assert row is not None
        row.state = (repository.FAILED, repository.CONDEMNED)[which]
        session.add(row)
    await house.messaging.publish(ends(film)[which])
    await until(lambda: house.dispatcher.under_way == {other.package_id})
    assert await viewing.cost(film.package_id, "video/360p/20.m4s") == 0
    assert await viewing.cost(other.package_id, "video/360p/20.m4s") == 1


async def test_failure_that_is_told_late_does_not_mute_viewers_of_a_film_that_is_made_again(
    house: House, viewing: Viewing
) -> None:
    film = await house.add("a")
    async with house.database.transaction() as session:
        row = await repository.lock(session, film.package_id)
        assert row is not None
        row.state = repository.FAILED
        session.add(row)
    async with house.outbox.transaction() as tx:
        row = await repository.lock(tx.session, film.package_id)
        assert row is not None
        row.state = repository.PLANNED
        tx.session.add(row)
        await house.dispatcher.admit(tx, row)
        late = asyncio.create_task(viewing.demanding.end(failed(film)))
        await until_waiting(house, 1)
    await late
    assert film.package_id in house.dispatcher.under_way


async def test_new_film_is_heard_of_that_comes_while_everything_is_looked_at(house: House) -> None:
    async with house.outbox.transaction() as tx:
        await repository.take_dispatch_lock(tx.session)
        coming = asyncio.create_task(house.request("2" * 64))
        await until_waiting(house, 1)
    await until(lambda: bool(house.dispatcher.under_way))
    async with house.outbox.transaction() as tx:
        await house.dispatcher.look(tx)
    package_id, _ = await coming
    assert house.dispatcher.under_way == {package_id}


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
