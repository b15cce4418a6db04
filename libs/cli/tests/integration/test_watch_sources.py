"""What `reelay watch` learns from a real NATS server."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from uuid import UUID

import pytest

from reelay.cli.watch_sources import listen
from reelay.common.message import Message
from reelay.common.messaging import Messaging
from reelay.common.tasks import end
from reelay.common.testing.servers import Program

from ..watch_samples import ID, chunk

pytestmark = pytest.mark.integration


class Noted:
    """Notes what is heard and seen."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.looks: list[set[UUID]] = []
        self._news = asyncio.Event()

    def hear(self, message: Message, at: float) -> None:
        self.messages.append(message)
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
