"""Who cannot work hands its messages on, uncounted, and takes none before it can again."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from reelay.common import delivery, fitness, outages
from reelay.common.errors import TransientError
from reelay.common.events import AssetUploaded
from reelay.common.messaging import Messaging
from reelay.common.storage.port import StoreUnavailableError
from reelay.common.testing.servers import Program

from .consuming import Seen, consumer, dead_letters, settled, uploaded, waited_for

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
    monkeypatch.setattr(outages, "HAND_ON_AFTER_S", 0.1)
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
    messaging.on(WORK, seen.handle, check=find_nothing)
    await messaging.start()
    await messaging.publish(uploaded())
    (letter,) = await dead_letters(messaging, 1)
    assert letter.kind == "exhausted"
    assert len(seen.ids) == 1


async def test_who_fails_and_is_alone_takes_the_next_message_meanwhile(
    messaging: Messaging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "OTHERS_FIRST_S", 600.0)
    seen = Seen(TransientError("of the message"))
    messaging.on(consumer(sole=True, retry_base_s=1.0), seen.handle, check=find_nothing)
    await messaging.start()
    for _ in range(2):
        await messaging.publish(uploaded())
    await seen.until(3)
    failed, healthy, again = seen.ids
    assert failed == again != healthy


async def test_who_fails_lets_others_who_ask_try_first(
    messaging: Messaging, nats: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "OTHERS_FIRST_S", 600.0)
    await messaging.start()
    taken, other_asks = asyncio.Event(), asyncio.Event()

    async def fail(event: AssetUploaded) -> None:
        assert not taken.is_set()
        taken.set()
        await other_asks.wait()
        raise TransientError("broken here, in a way that no check finds")

    failing, other, seen = Messaging(nats.url, "test"), Messaging(nats.url, "test"), Seen()
    failing.on(consumer(sole=True), fail, check=find_nothing)
    other.on(consumer(sole=True), seen.handle, check=find_nothing)
    await failing.start()
    await messaging.publish(uploaded())
    await taken.wait()
    await other.start()
    await waited_for(messaging)
    other_asks.set()
    await seen.until(1)
    for _ in range(3):
        await messaging.publish(uploaded())
    await seen.until(4)
    await failing.stop()
    await other.stop()


async def test_check_that_hangs_has_found_something(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitness, "CHECK_S", 0.1)

    async def hang() -> None:
        await asyncio.Event().wait()

    with pytest.raises(fitness.UnfitError, match="Timeout"):
        await fitness.assert_fit(hang)


async def find_nothing() -> None:
    """Find nothing wrong."""
