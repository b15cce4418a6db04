"""A consumer of one fact, a handler that notes what it got, and the state of both."""

import asyncio
from uuid import UUID, uuid4

from reelay.common.commands import DeadLetter
from reelay.common.events import AssetUploaded
from reelay.common.messaging import Messaging
from reelay.common.streams import Consumer


def uploaded() -> AssetUploaded:
    """A fact of its own each time."""
    return AssetUploaded(upload_id=uuid4(), asset_id="a" * 64, source_key="sources/x", size_bytes=1)


def consumer(**changes: object) -> Consumer:
    """A consumer of that fact that tries again soon, changed as told."""
    return Consumer(
        **{
            "durable": "test-handler",
            "stream": "EVENTS",
            "subject": AssetUploaded.subject,
            "retry_base_s": 0.02,
            "max_deliver": 3,
            **changes,
        }  # type: ignore[arg-type]
    )


class Seen:
    """Notes what a handler got, and fails as told."""

    def __init__(self, *errors: Exception) -> None:
        self.ids: list[UUID] = []
        self.errors = list(errors)
        self.news = asyncio.Event()

    async def handle(self, event: AssetUploaded) -> None:
        self.ids.append(event.upload_id)
        self.news.set()
        if self.errors:
            raise self.errors.pop(0)

    async def until(self, count: int, deadline_s: float = 30) -> None:
        async with asyncio.timeout(deadline_s):
            while len(self.ids) < count:
                self.news.clear()
                await self.news.wait()


async def dead_letters(messaging: Messaging, count: int) -> list[DeadLetter]:
    """Return so many letters, at least one, once there is one."""
    subscription = await messaging.jetstream.pull_subscribe("deadletters.>", stream="DEADLETTERS")
    letters = await subscription.fetch(count, timeout=10)
    return [DeadLetter.model_validate_json(letter.data) for letter in letters]


async def settled(messaging: Messaging) -> None:
    """Wait until the consumer has nothing pending and nothing unacknowledged."""
    async with asyncio.timeout(20):
        while True:
            info = await messaging.jetstream.consumer_info("EVENTS", "test-handler")
            if not info.num_pending and not info.num_ack_pending:
                return
            await asyncio.sleep(0.02)


async def waited_for(messaging: Messaging) -> None:
    """Wait until a request for the next message lies on the server."""
    async with asyncio.timeout(20):
        while True:
            info = await messaging.jetstream.consumer_info("EVENTS", "test-handler")
            if info.num_waiting:
                return
            await asyncio.sleep(0.02)
