"""Who cannot work hands its messages on, uncounted, and takes none before it can again."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from reelay.common import delivery, fitness
from reelay.common.errors import TransientError
from reelay.common.events import AssetUploaded
from reelay.common.messaging import Messaging
from reelay.common.storage.port import StoreUnavailableError
from reelay.common.testing.servers import Program

from .consuming import Seen, consumer, dead_letters, settled, uploaded

pytestmark = pytest.mark.integration

WORK = consumer(sole=True, max_deliver=1)
"""The first failure that counts is the last."""


class Replica:
    """A replica that fails as long as it is unfit."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.fit = False
        self.looked = asyncio.Event()
        self.seen = Seen()

    async def handle(self, event: AssetUploaded) -> None:
        await self.seen.handle(event)
        if not self.fit:
            raise self.error

    async def check(self) -> None:
        if not self.fit:
            self.looked.set()
            raise self.error


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "HAND_ON_AFTER_S", 0.1)
    monkeypatch.setattr(fitness, "LONGEST_LOOK_S", 0.5)


@pytest.fixture(params=[StoreUnavailableError("for me alone"), TransientError("broken here")])
async def sick(
    request: pytest.FixtureRequest, messaging: Messaging, nats: Program
) -> AsyncIterator[Replica]:
    """A replica that took a message and found that it cannot work."""
    await messaging.start()
    replica, connection = Replica(request.param), Messaging(nats.url, "test")
    connection.on(WORK, replica.handle, check=replica.check)
    await connection.start()
    await messaging.publish(uploaded())
    async with asyncio.timeout(20):
        await replica.looked.wait()
    yield replica
    await connection.stop()


async def test_message_of_who_cannot_work_is_digested_by_another(
    sick: Replica, messaging: Messaging, nats: Program
) -> None:
    healthy, other = Seen(), Messaging(nats.url, "test")
    other.on(WORK, healthy.handle)
    await other.start()
    for _ in range(3):
        await messaging.publish(uploaded())
    await healthy.until(4)
    await settled(messaging)
    await other.stop()
    assert healthy.ids[0] not in healthy.ids[1:]
    assert set(sick.seen.ids) <= set(healthy.ids)
    assert len(set(sick.seen.ids)) == 1
    assert (await messaging.jetstream.stream_info("DEADLETTERS")).state.messages == 0


async def test_who_can_work_again_takes_messages_again(sick: Replica, messaging: Messaging) -> None:
    tried = len(sick.seen.ids)
    sick.fit = True
    await sick.seen.until(tried + 1)
    await settled(messaging)
    assert len(set(sick.seen.ids)) == 1
    assert (await messaging.jetstream.stream_info("DEADLETTERS")).state.messages == 0


async def test_failure_of_who_can_work_counts(messaging: Messaging) -> None:
    seen = Seen(TransientError("of the message"))

    async def check() -> None:
        """Find nothing wrong."""

    messaging.on(WORK, seen.handle, check=check)
    await messaging.start()
    await messaging.publish(uploaded())
    (letter,) = await dead_letters(messaging, 1)
    assert letter.kind == "exhausted"
    assert len(seen.ids) == 1
