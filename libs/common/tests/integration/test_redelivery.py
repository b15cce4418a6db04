"""A message that comes again is digested once, and what was no failure costs it no attempt."""

import asyncio

import pytest
from nats.aio.msg import Msg

from reelay.common.errors import PermanentError, TransientError
from reelay.common.events import AssetUploaded
from reelay.common.messaging import Messaging
from reelay.common.testing.servers import Program

from .consuming import Seen, consumer, settled, uploaded

pytestmark = pytest.mark.integration


async def test_message_that_comes_again_while_it_is_in_hand_is_digested_once(
    messaging: Messaging,
) -> None:
    calls, again = 0, asyncio.Event()

    async def slow(_: AssetUploaded) -> None:
        nonlocal calls
        calls += 1
        async with asyncio.timeout(20):
            await again.wait()

    # Without a heartbeat in time, as while there is no connection.
    messaging.on(consumer(ack_wait_s=0.5, heartbeat_s=60.0, batch=2, max_deliver=100), slow)
    await messaging.start()
    await messaging.publish(uploaded())
    async with asyncio.timeout(20):
        while True:
            info = await messaging.jetstream.consumer_info("EVENTS", "test-handler")
            if info.delivered and info.delivered.consumer_seq >= 2:
                break
            await asyncio.sleep(0.02)
    again.set()
    await settled(messaging)
    assert calls == 1


async def test_message_that_came_again_in_hand_has_all_its_attempts(messaging: Messaging) -> None:
    seen, go_on, given_up = Seen(TransientError()), asyncio.Event(), list[Exception]()

    async def slow_at_first(event: AssetUploaded) -> None:
        if not seen.ids:
            await go_on.wait()
        await seen.handle(event)

    async def give_up(_: bytes, error: Exception) -> None:
        given_up.append(error)

    again = consumer(ack_wait_s=0.3, heartbeat_s=60.0, batch=2)
    messaging.on(again, slow_at_first, give_up=give_up)
    await messaging.start()
    await messaging.publish(uploaded())
    async with asyncio.timeout(20):
        while True:
            info = await messaging.jetstream.consumer_info("EVENTS", "test-handler")
            if info.delivered and info.delivered.consumer_seq > again.max_deliver:
                break
            await asyncio.sleep(0.02)
    go_on.set()
    await settled(messaging)
    assert (len(seen.ids), given_up) == (2, [])


async def test_message_whose_burial_is_lost_is_buried_once(
    messaging: Messaging, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, lost = Seen(*[PermanentError() for _ in range(3)]), []

    async def lose(message: Msg) -> None:
        lost.append(message)

    monkeypatch.setattr(Msg, "term", lose)
    messaging.on(consumer(ack_wait_s=0.5), seen.handle)
    await messaging.start()
    await messaging.publish(uploaded())
    await seen.until(1)
    await settled(messaging)
    assert (len(seen.ids), len(lost)) == (1, 1)


async def test_message_whose_acknowledgement_is_lost_is_digested_once(
    messaging: Messaging, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, acknowledged = Seen(), []
    ack = Msg.ack

    async def lose_the_first(message: Msg) -> None:
        acknowledged.append(message.metadata.num_delivered)
        if len(acknowledged) > 1:
            await ack(message)

    monkeypatch.setattr(Msg, "ack", lose_the_first)
    messaging.on(consumer(ack_wait_s=0.5), seen.handle)
    await messaging.start()
    await messaging.publish(event := uploaded())
    await seen.until(1)
    await settled(messaging)
    assert seen.ids == [event.upload_id]
    assert acknowledged == [1, 2]


class Stopped:
    """A handler that is stopped in its middle, as when its replica is."""

    def __init__(self) -> None:
        self.began = asyncio.Event()

    async def handle(self, event: AssetUploaded) -> None:
        self.began.set()
        await asyncio.Event().wait()


async def test_work_of_replicas_that_are_stopped_is_not_used_up(
    messaging: Messaging, nats: Program
) -> None:
    work = consumer(max_deliver=2, sole=True)
    fact = uploaded()
    await messaging.start()
    await messaging.publish(fact)
    for _ in range(4):
        replica, handler = Messaging(nats.url, "test"), Stopped()
        replica.on(work, handler.handle)
        await replica.start()
        async with asyncio.timeout(20):
            await handler.began.wait()
        await replica.stop()
    seen = Seen(ValueError("fails once for real"))
    last = Messaging(nats.url, "test")
    last.on(work, seen.handle)
    await last.start()
    await seen.until(2)
    await settled(last)
    await last.stop()
    assert seen.ids == [fact.upload_id] * 2
    assert (await messaging.jetstream.stream_info("DEADLETTERS")).state.messages == 0
