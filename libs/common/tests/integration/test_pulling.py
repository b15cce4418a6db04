"""Requests for messages that lie on the server until there is one."""

import asyncio
import json
from uuid import UUID

import pytest
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig

from reelay.common.commands import EncodeChunk, Lane, SourceSpec
from reelay.common.events import AssetUploaded
from reelay.common.messaging import Messaging
from reelay.common.streams import Consumer, declare_consumer, fact_consumer, work_consumer
from reelay.common.testing.servers import Program

from .consuming import consumer, uploaded

pytestmark = pytest.mark.integration

ENCODERS = 1000
CHUNK = EncodeChunk(
    task_id=UUID(int=1),
    package_id="p",
    lane=Lane.OPENING,
    provider="software",
    source=SourceSpec(
        key="sources/x", demuxer="mov", video_stream=0, audio_stream=None, preroll_s=0.5
    ),
    fps_num=25,
    fps_den=1,
    video=[],
    segments=[],
)


async def until_waiting(messaging: Messaging, consumer: Consumer, requests: int) -> None:
    async with asyncio.timeout(20):
        while True:
            info = await messaging.jetstream.consumer_info(consumer.stream, consumer.durable)
            if info.num_waiting == requests:
                return
            await asyncio.sleep(0.02)


async def test_every_one_of_a_thousand_encoders_waits_for_work(messaging: Messaging) -> None:
    await messaging.start()
    work = work_consumer("software", Lane.LADDER)
    await declare_consumer(messaging.jetstream, work)
    answers: list[Msg] = []

    async def hear(answer: Msg) -> None:
        answers.append(answer)

    await messaging.client.subscribe("answers.*", cb=hear)
    ask = f"$JS.API.CONSUMER.MSG.NEXT.{work.stream}.{work.durable}"
    request = json.dumps({"batch": 1, "expires": 60_000_000_000}).encode()
    for number in range(ENCODERS):
        await messaging.client.publish(ask, request, reply=f"answers.{number}")
    await until_waiting(messaging, work, ENCODERS)
    await messaging.jetstream.publish(work.subject, b"{}")
    await until_waiting(messaging, work, ENCODERS - 1)
    assert [answer.data for answer in answers] == [b"{}"]


async def test_opening_is_made_once_after_the_connection_broke(nats: Program) -> None:
    messaging = Messaging(nats.url, "encoder")
    work = work_consumer("software", Lane.OPENING)
    handled: list[EncodeChunk] = []

    async def handle(chunk: EncodeChunk) -> None:
        handled.append(chunk)

    messaging.on(work, handle, can_wait=lambda body: True)
    await messaging.start()
    await until_waiting(messaging, work, 1)
    connected = messaging.client.stats["reconnects"]
    messaging.client._transport._io_writer.transport.abort()  # the server stays up
    async with asyncio.timeout(60):
        while messaging.client.stats["reconnects"] == connected:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        await messaging.client.flush()
        await messaging.publish(CHUNK)
        while not handled:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    info = await messaging.jetstream.consumer_info(work.stream, work.durable)
    assert info.num_redelivered == 0
    await messaging.stop()
    assert handled == [CHUNK]


async def test_consumer_that_lets_fewer_wait_is_kept_as_it_is(messaging: Messaging) -> None:
    await messaging.start()
    work = work_consumer("software", Lane.LADDER)
    older = ConsumerConfig(**{**vars(work.config()), "max_waiting": 20, "max_ack_pending": 5})
    await messaging.jetstream.add_consumer(work.stream, config=older)
    await declare_consumer(messaging.jetstream, work)
    made = (await messaging.jetstream.consumer_info(work.stream, work.durable)).config
    assert (made.max_waiting, made.max_ack_pending) == (20, work.unacknowledged)


async def test_requests_of_fact_consumers_are_bounded(messaging: Messaging) -> None:
    await messaging.start()
    fact = fact_consumer("catalog", "note-ready", "events.x")
    await declare_consumer(messaging.jetstream, fact)
    info = await messaging.jetstream.consumer_info(fact.stream, fact.durable)
    assert info.config.max_waiting == 512


class Held:
    """A handler that ends when it is told to."""

    def __init__(self) -> None:
        self.in_hand = 0
        self.may_end = asyncio.Event()

    async def handle(self, fact: AssetUploaded) -> None:
        self.in_hand += 1
        await self.may_end.wait()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(60):
            while self.in_hand < count:  # noqa: ASYNC110
                await asyncio.sleep(0.02)


async def test_places_of_a_batch_ask_by_one_request(messaging: Messaging, nats: Program) -> None:
    await messaging.start()
    inboxes: list[str] = []

    async def note(request: Msg) -> None:
        inboxes.append(request.reply)

    await messaging.client.subscribe("$JS.API.CONSUMER.MSG.NEXT.EVENTS.test-handler", cb=note)
    await messaging.client.flush()
    replica, held = Messaging(nats.url, "test"), Held()
    replica.on(consumer(batch=4), held.handle)
    await replica.start()
    for _ in range(4):
        await messaging.publish(uploaded())
    await held.until(4)
    await messaging.client.flush()
    assert len(inboxes) >= 4
    assert len(set(inboxes)) == 1
    held.may_end.set()
    await replica.stop()


async def test_every_replica_fills_its_places_although_an_older_version_allowed_fewer(
    messaging: Messaging, nats: Program
) -> None:
    await messaging.start()
    many = consumer(batch=16)
    older = ConsumerConfig(**{**vars(many.config()), "max_ack_pending": 64})
    await messaging.jetstream.add_consumer(many.stream, config=older)
    held = Held()
    replicas = [Messaging(nats.url, "test") for _ in range(6)]
    for replica in replicas:
        replica.on(many, held.handle)
        await replica.start()
    for _ in range(6 * 16):
        await messaging.publish(uploaded())
    await held.until(6 * 16)
    held.may_end.set()
    for replica in replicas:
        await replica.stop()
