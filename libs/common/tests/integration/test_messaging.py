"""Delivery over a real NATS server: nothing is lost, nothing hangs in a loop."""

import asyncio
import shutil
import signal
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from nats.aio.msg import Msg

from reelay.common.commands import DeadLetter, SegmentDemanded
from reelay.common.errors import OutageError, PermanentError, TransientError
from reelay.common.events import AssetUploaded
from reelay.common.messaging import PULL_TIMEOUT_S, Messaging
from reelay.common.streams import Consumer
from reelay.common.testing.servers import BACKEND, Program

pytestmark = pytest.mark.integration


def uploaded() -> AssetUploaded:
    return AssetUploaded(upload_id=uuid4(), asset_id="a" * 64, source_key="sources/x", size_bytes=1)


def consumer(**changes: object) -> Consumer:
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


async def test_event_reaches_its_handler_once(messaging: Messaging) -> None:
    seen = Seen()
    messaging.on(consumer(), seen.handle)
    await messaging.start()
    event = uploaded()
    await messaging.publish(event, message_id=event.upload_id)
    await messaging.publish(event, message_id=event.upload_id)
    await seen.until(1)
    await settled(messaging)
    assert seen.ids == [event.upload_id]


async def test_transient_error_is_tried_again(messaging: Messaging) -> None:
    seen = Seen(TransientError(), TransientError())
    messaging.on(consumer(), seen.handle)
    await messaging.start()
    await messaging.publish(uploaded())
    await seen.until(3)
    await settled(messaging)
    assert len(seen.ids) == 3


async def test_permanent_error_is_a_dead_letter_at_once(messaging: Messaging) -> None:
    seen = Seen(PermanentError("never"))
    given_up: list[bytes] = []

    async def give_up(body: bytes, _: Exception) -> None:
        given_up.append(body)

    messaging.on(consumer(), seen.handle, give_up=give_up)
    await messaging.start()
    await messaging.publish(uploaded())
    letter = (await dead_letters(messaging, 1))[0]
    await settled(messaging)
    assert (letter.kind, letter.handler, len(seen.ids)) == ("permanent", "test-handler", 1)
    assert len(given_up) == 1


async def test_exhausted_message_is_a_dead_letter_and_not_stuck(messaging: Messaging) -> None:
    seen = Seen(*[TransientError("still not") for _ in range(10)])
    messaging.on(consumer(), seen.handle)
    await messaging.start()
    await messaging.publish(uploaded())
    letter = (await dead_letters(messaging, 1))[0]
    await settled(messaging)
    assert letter.kind == "exhausted"
    assert len(seen.ids) == 3


async def test_malformed_body_is_a_dead_letter(messaging: Messaging) -> None:
    seen = Seen()
    messaging.on(consumer(), seen.handle)
    await messaging.start()
    await messaging.jetstream.publish(AssetUploaded.subject, b"{not json")
    await messaging.jetstream.publish(AssetUploaded.subject, b'{"upload_id": 5}')
    assert len(await dead_letters(messaging, 1)) == 1
    await settled(messaging)
    assert seen.ids == []


async def test_long_handler_keeps_its_message(messaging: Messaging) -> None:
    calls = 0

    async def slow(_: AssetUploaded) -> None:
        nonlocal calls
        calls += 1
        await asyncio.sleep(3)

    messaging.on(consumer(ack_wait_s=1.0, heartbeat_s=0.3), slow)
    await messaging.start()
    await messaging.publish(uploaded())
    await asyncio.sleep(0.1)
    await settled(messaging)
    assert calls == 1


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


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_consumption_goes_on_after_the_server_restarts(
    messaging: Messaging, nats: Program, how: signal.Signals
) -> None:
    seen = Seen()
    messaging.on(consumer(), seen.handle)
    await messaging.start()
    await messaging.publish(uploaded())
    await seen.until(1)
    await waited_for(messaging)
    nats.stop(how)
    nats.start()
    async with asyncio.timeout(20):
        while True:
            try:
                await messaging.publish(uploaded())
                break
            except TransientError:
                await asyncio.sleep(0.1)
    # Long before the request that the server had would have ended by itself.
    await seen.until(2, deadline_s=PULL_TIMEOUT_S / 2)


@pytest.mark.skipif(BACKEND == "containers", reason="the streams lie in the container")
async def test_consumption_goes_on_after_the_server_lost_its_streams(
    messaging: Messaging, nats: Program, tmp_path: Path
) -> None:
    seen = Seen()
    messaging.on(consumer(), seen.handle)
    await messaging.start()
    await messaging.publish(uploaded())
    await seen.until(1)
    await waited_for(messaging)
    nats.kill()
    shutil.rmtree(tmp_path / "nats")
    nats.start()
    async with asyncio.timeout(20):
        while True:
            try:
                await messaging.publish(uploaded())
                break
            except TransientError:
                await asyncio.sleep(0.1)
    await seen.until(2, deadline_s=PULL_TIMEOUT_S / 2)


async def test_plain_message_is_seen_by_one_of_a_queue(messaging: Messaging) -> None:
    got: list[str] = []
    news = asyncio.Event()

    async def hear(demand: SegmentDemanded) -> None:
        got.append(demand.path)
        news.set()

    messaging.on_plain(SegmentDemanded, hear, queue="a")
    messaging.on_plain(SegmentDemanded, hear, queue="a")
    await messaging.start()
    await messaging.tell(SegmentDemanded(package_id="p", path="video/360p/1.m4s"))
    async with asyncio.timeout(5):
        await news.wait()
    await messaging.client.flush()
    assert got == ["video/360p/1.m4s"]


async def test_plain_listener_of_a_fact_does_not_answer_for_the_stream(
    messaging: Messaging,
) -> None:
    heard = asyncio.Event()

    async def hear(_: AssetUploaded) -> None:
        heard.set()

    messaging.on_plain(AssetUploaded, hear)
    await messaging.start()
    for _ in range(20):
        await messaging.publish(uploaded())
    async with asyncio.timeout(5):
        await heard.wait()
    assert (await messaging.jetstream.stream_info("EVENTS")).state.messages == 20


async def test_first_message_after_quiet_is_not_held_back_for_a_batch(
    messaging: Messaging,
) -> None:
    seen = Seen()
    messaging.on(consumer(batch=4), seen.handle)
    await messaging.start()
    await asyncio.sleep(1.5)
    await messaging.publish(uploaded())
    await seen.until(1, deadline_s=2)


async def test_handler_whose_server_is_away_waits_instead_of_failing(
    messaging: Messaging,
) -> None:
    seen = Seen(OutageError())
    messaging.on(consumer(max_deliver=1), seen.handle)
    await messaging.start()
    await messaging.publish(uploaded())
    await seen.until(2, deadline_s=10)
    assert (await messaging.jetstream.stream_info("DEADLETTERS")).state.messages == 0


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
