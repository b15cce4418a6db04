"""What FFmpeg makes while the broker is away is kept, and told when it is back."""

import asyncio
import signal
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from reelay.common import outages
from reelay.common.commands import EncodeChunk
from reelay.common.events import SegmentReady
from reelay.common.messaging import Messaging
from reelay.common.testing.servers import Program
from reelay.encoder.domain.cutting import EncodedSegment
from reelay.encoder.entrypoints.events import SERVICE, listen
from reelay.encoder.fitness import Fitness
from reelay.encoder.handlers import Transcoder

from .conftest import Bench, Media, TaskMaker
from .service import facts

pytestmark = pytest.mark.integration


class Unlucky:
    """A transcoder whose broker ends after its first segment."""

    def __init__(self, transcoder: Transcoder, nats: Program) -> None:
        self.transcoder = transcoder
        self.nats = nats
        self.begun = 0

    async def transcode(self, task: EncodeChunk) -> AsyncGenerator[EncodedSegment]:
        """See Transcoder."""
        self.begun += 1
        first = self.begun == 1
        async with aclosing(self.transcoder.transcode(task)) as segments:
            async for segment in segments:
                yield segment
                if first:
                    self.nats.stop(signal.SIGTERM)
                    first = False


async def test_chunk_is_encoded_once_though_the_broker_is_away_in_its_middle(
    media: Media,
    make_task: TaskMaker,
    bench: Bench,
    messaging: Messaging,
    nats: Program,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outages, "HAND_ON_AFTER_S", -1.0)
    missed = asyncio.Event()

    async def note(provider: str) -> None:
        missed.set()

    path = media.numbered("constant.mp4", "25", 150)
    task = make_task(path, "25", 0, [25, 25, 25, 25])
    await bench.store.put(task.source.key, path)
    unlucky, worker = Unlucky(bench.transcoder(), nats), Messaging(nats.url, SERVICE)
    listen(worker, Fitness(["software"], bench.store, note), unlucky, bench.store)
    await worker.start()
    await messaging.broker.connect()
    await messaging.publish(task)
    async with asyncio.timeout(60):
        await missed.wait()
    nats.start()
    bodies = await facts(messaging, SegmentReady.subject, 4)
    await worker.stop()
    made = [SegmentReady.model_validate_json(body).number for body in bodies]
    assert sorted(made) == [1, 2, 3, 4]
    assert unlucky.begun == 1
