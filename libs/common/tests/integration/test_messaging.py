"""Delivery over a real NATS server: nothing is lost, nothing hangs in a loop."""

import asyncio

import pytest

from reelay.common.commands import SegmentDemanded
from reelay.common.errors import PermanentError, TransientError
from reelay.common.events import AssetUploaded
from reelay.common.messaging import Messaging

from .consuming import Seen, consumer, dead_letters, settled, uploaded

pytestmark = pytest.mark.integration


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


async def test_dead_letter_of_what_cannot_be_given_up_is_kept(messaging: Messaging) -> None:
    async def give_up(body: bytes, _: Exception) -> None:
        AssetUploaded.model_validate_json(body)

    messaging.on(consumer(), Seen().handle, give_up=give_up)
    await messaging.start()
    await messaging.jetstream.publish(AssetUploaded.subject, b'{"upload_id": 5}')
    (letter,) = await dead_letters(messaging, 1)
    assert letter.kind == "permanent"
    await settled(messaging)
