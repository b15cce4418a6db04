"""A replica that is stopped hands its messages on, however long its handlers take to end."""

import asyncio
from uuid import uuid4

import pytest

from reelay.common.events import AssetUploaded
from reelay.common.messaging import Messaging
from reelay.common.streams import Consumer
from reelay.common.testing.servers import Program

pytestmark = pytest.mark.integration

WORK = Consumer(
    durable="test-handler", stream="EVENTS", subject=AssetUploaded.subject, sole=True, ack_wait_s=60
)


class SlowToEnd:
    """A handler that, when cancelled, has something to bring to its end."""

    def __init__(self) -> None:
        self.began = asyncio.Event()

    async def handle(self, event: AssetUploaded) -> None:
        self.began.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(1)


async def test_message_is_given_back_before_the_connection_ends(
    messaging: Messaging, nats: Program
) -> None:
    await messaging.start()
    replica, handler = Messaging(nats.url, "test"), SlowToEnd()
    replica.on(WORK, handler.handle)
    await replica.start()
    await messaging.publish(
        AssetUploaded(upload_id=uuid4(), asset_id="a" * 64, source_key="sources/x", size_bytes=1)
    )
    async with asyncio.timeout(60):
        await handler.began.wait()
    await replica.stop()
    known = await messaging.jetstream.consumer_info(WORK.stream, WORK.durable)
    assert (known.num_ack_pending, known.num_pending) == (0, 1)
