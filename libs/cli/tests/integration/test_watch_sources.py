"""What `reelay watch` learns from a real NATS server."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

import pytest
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig

from reelay.cli.watch_past import BEFORE_ITS_PLAN
from reelay.cli.watch_sources import listen
from reelay.common.commands import ViewersAsked
from reelay.common.events import PackageRemoved
from reelay.common.message import Message
from reelay.common.messaging import Messaging
from reelay.common.tasks import end
from reelay.common.testing.servers import Program

from ..watch_samples import ID, chunk, planned, seen, stored

pytestmark = pytest.mark.integration


class Noted:
    """Notes what is heard and seen."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.looks: list[set[UUID]] = []
        self.forgotten_until: list[float] = []
        self._news = asyncio.Event()

    def hear(self, message: Message, at: float) -> None:
        self.messages.append(message)
        self._news.set()

    def forget_until(self, at: float) -> None:
        self.forgotten_until.append(at)
        self._news.set()

    def see_work(self, tasks: Collection[UUID], at: float) -> None:
        self.looks.append(set(tasks))
        self._news.set()

    def catch_up(self) -> None:
        self._news.set()

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not true():
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def listening(nats: Program) -> AsyncIterator[Noted]:
    noted = Noted()
    task = asyncio.create_task(listen(nats.url, ID, noted, look_every_s=0.05))
    yield noted
    await end(task)


async def test_queue_is_looked_at_again_and_again(packager: Messaging, nats: Program) -> None:
    mine, other = chunk("720p", 1, 4, task=1), chunk("720p", 1, 4, package_id="0b" * 32, task=2)
    await packager.publish(other)
    await packager.publish(mine)
    async with listening(nats) as noted:
        await noted.until(lambda: noted.looks.count({mine.task_id}) > 2)
        await packager.jetstream.purge_stream("WORK")
        await noted.until(lambda: noted.looks[-1] == set())


async def fact_reader(packager: Messaging) -> ConsumerConfig:
    """How the facts are read now."""
    known = await packager.jetstream.consumers_info("EVENTS")
    (found,) = [one.config for one in known if one.config.filter_subject == "events.package.>"]
    return found


async def test_facts_are_read_since_shortly_before_the_first_plan(
    packager: Messaging, nats: Program
) -> None:
    await packager.publish(planned("0b" * 32))
    await packager.publish(stored(("audio", 1, 1)))
    await packager.publish(planned())
    await packager.publish(stored(("720p", 1, 2)))
    await packager.publish(planned())
    plan = await packager.jetstream.get_msg("EVENTS", 3)
    async with listening(nats) as noted:
        await noted.until(lambda: len(noted.messages) == 4)
        reader = await fact_reader(packager)
    assert plan.time is not None
    assert reader.opt_start_time is not None
    rounded = timedelta(milliseconds=1)
    assert abs(plan.time - BEFORE_ITS_PLAN - reader.opt_start_time) < rounded


async def test_all_facts_are_read_where_no_plan_is_known(
    packager: Messaging, nats: Program
) -> None:
    await packager.publish(planned("0b" * 32))
    await packager.publish(stored(("audio", 1, 1)))
    async with listening(nats) as noted:
        await noted.until(lambda: len(noted.messages) == 1)
        assert (await fact_reader(packager)).opt_start_time is None


async def test_facts_of_a_package_that_was_removed_are_not_read(
    packager: Messaging, nats: Program
) -> None:
    await packager.publish(planned())
    await packager.publish(stored(("720p", 1, 2)))
    await packager.publish(PackageRemoved(package_id=ID))
    await packager.publish(PackageRemoved(package_id="0b" * 32))
    await packager.publish(stored(("audio", 1, 1)))
    await packager.publish(planned())
    await packager.publish(planned())
    removal = await packager.jetstream.get_msg("EVENTS", 3)
    async with listening(nats) as noted:
        await noted.until(lambda: len(noted.messages) == 3)
        reader = await fact_reader(packager)
    assert noted.messages == [stored(("audio", 1, 1)), planned(), planned()]
    assert reader.opt_start_seq == 4
    assert removal.time is not None
    assert noted.forgotten_until == [pytest.approx(removal.time.timestamp(), abs=1e-3)]


async def test_package_that_was_removed_and_is_not_planned_again_has_no_facts(
    packager: Messaging, nats: Program
) -> None:
    await packager.publish(planned())
    await packager.publish(PackageRemoved(package_id=ID))
    async with listening(nats) as noted:
        await noted.until(lambda: bool(noted.forgotten_until))
        await packager.publish(planned())
        await noted.until(lambda: bool(noted.messages))
    assert noted.messages == [planned()]


async def test_who_serves_the_package_is_asked_for_viewers_again_and_again(
    packager: Messaging, nats: Program
) -> None:
    asked = asyncio.Queue[str]()

    async def on_asked(msg: Msg) -> None:
        asked.put_nowait(ViewersAsked.model_validate_json(msg.data).package_id)

    await packager.client.subscribe(ViewersAsked.subject, cb=on_asked)
    await packager.client.flush()
    async with listening(nats) as noted, asyncio.timeout(20):
        assert [await asked.get(), await asked.get()] == [ID, ID]
        await packager.tell(seen(("me", "video/360p/1.m4s", 0.0), package_id="0b" * 32))
        mine = seen(("me", "video/360p/1.m4s", 0.0))
        await packager.tell(mine)
        await noted.until(lambda: bool(noted.messages))
    assert noted.messages == [mine]
