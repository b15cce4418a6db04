"""An encoder that cannot work leaves its chunks to others, and none of them fails for it."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from reelay.common.commands import EncodeChunk, EncoderAlive, Lane
from reelay.common.events import SegmentFailed, SegmentReady
from reelay.common.messaging import Messaging
from reelay.common.storage import open_store
from reelay.common.streams import work_consumer
from reelay.common.testing.servers import Program

from .conftest import FFMPEG, Media, TaskMaker
from .processes import script
from .service import Encoder, facts, hear_first

pytestmark = pytest.mark.integration


@pytest.fixture
async def task(
    media: Media, make_task: TaskMaker, messaging: Messaging, tmp_path: Path
) -> EncodeChunk:
    """A chunk whose source is in the store that all but the sick share."""
    await messaging.broker.connect()
    path = media.numbered("constant.mp4", "25", 150)
    made = make_task(path, "25", 0, [25, 25], lane=Lane.LADDER)
    await open_store(f"file://{tmp_path}/objects").put(made.source.key, path)
    return made


@pytest.fixture(params=["whose FFmpeg broke", "whose store is not mounted"])
async def sick(
    request: pytest.FixtureRequest, messaging: Messaging, nats: Program, tmp_path: Path
) -> AsyncIterator[Encoder]:
    """An encoder that was well when it began, or so it seemed."""
    await messaging.broker.connect()
    program, store = tmp_path / "ffmpeg", tmp_path / "objects"
    if request.param == "whose store is not mounted":
        store = tmp_path / "mountpoint"
    encoder = Encoder(nats.url, store, script(program, f'exec "{FFMPEG}" "$@"'))
    await encoder.start()
    await hear_first(messaging, EncoderAlive)
    if request.param == "whose FFmpeg broke":
        script(program, "echo broken >&2", "exit 1")
    yield encoder
    await encoder.stop(signal.SIGKILL)


async def test_chunk_of_an_encoder_that_cannot_work_is_made_by_another(
    sick: Encoder, task: EncodeChunk, messaging: Messaging, nats: Program, tmp_path: Path
) -> None:
    await messaging.publish(task)
    await until_handed_on(messaging)
    other = Encoder(nats.url, tmp_path / "objects", FFMPEG)
    await other.start()
    ready = await facts(messaging, SegmentReady.subject, 2)
    assert {SegmentReady.model_validate_json(body).number for body in ready} == {1, 2}
    assert await messages_on(messaging, SegmentFailed.subject) == 0
    assert await messages_on(messaging, "deadletters.>", "DEADLETTERS") == 0
    assert await other.stop(signal.SIGTERM) == 0
    assert await sick.stop(signal.SIGTERM) == 0


async def test_encoder_that_cannot_work_says_nothing_of_its_life(
    sick: Encoder, task: EncodeChunk, messaging: Messaging
) -> None:
    await messaging.publish(task)
    await until_handed_on(messaging)
    subscription = await messaging.client.subscribe(EncoderAlive.subject)
    with pytest.raises(TimeoutError):
        await subscription.next_msg(timeout=3)


async def until_handed_on(messaging: Messaging) -> None:
    """Wait until the chunk was taken, and lies in the queue again as a message of its own."""
    durable = work_consumer("software", Lane.LADDER).durable
    async with asyncio.timeout(60):
        while True:
            known = await messaging.jetstream.consumer_info("WORK", durable)
            left = (await messaging.jetstream.stream_info("WORK")).state
            if left.first_seq > 1 and known.num_pending == 1 and known.num_ack_pending == 0:
                return
            await asyncio.sleep(0.05)


async def messages_on(messaging: Messaging, subject: str, stream: str = "EVENTS") -> int:
    """Return how many messages a stream has of a subject."""
    info = await messaging.jetstream.stream_info(stream, subjects_filter=subject)
    return sum((info.state.subjects or {}).values())
