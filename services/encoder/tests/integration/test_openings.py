"""An opening does not wait for what runs ahead of viewers, though both are of one lane."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from reelay.common.commands import EncodeChunk, EncoderAlive, Lane
from reelay.common.events import SegmentReady
from reelay.common.messaging import Messaging
from reelay.common.storage import ObjectStore, open_store
from reelay.common.streams import work_consumer

from .conftest import FFMPEG
from .processes import pids_with, running_as, script, state, until_gone, until_state
from .service import Encoder, facts, hear_first

pytestmark = pytest.mark.integration

LANE = work_consumer("software", Lane.OPENING)
RUNNING = "RSD"
HOLD_BACK = """echo begun >&2
for name in ahead opening second viewer; do
    case "$*" in *"sources/$name"*) [ ! -e "$0.$name" ] || read nothing < "$0.$name";; esac
done"""
"""Starts no other program: a child that is stopped before it is one would outlive all others."""
SEGMENTS_EACH = 2


@dataclass
class Work:
    """Chunks for an encoder; FFmpeg begins to work for one when it is let go."""

    encoder: Encoder
    messaging: Messaging
    store: ObjectStore
    source: Path
    program: str
    make_task: Callable[..., EncodeChunk]

    async def ask(self, name: str, lane: Lane = Lane.OPENING) -> EncodeChunk:
        self.hold_back(name)
        task = self.make_task(Path(name), segments=[25, 25], lane=lane)
        if name == "ahead":
            later = [one.model_copy(update={"number": one.number + 4}) for one in task.segments]
            task = task.model_copy(update={"segments": later})
        await self.store.put(task.source.key, self.source)
        await self.messaging.publish(task)
        return task

    async def begin(self, name: str, lane: Lane = Lane.OPENING) -> int:
        """Ask for a chunk; return the process that was begun for it."""
        await self.ask(name, lane)
        return await self.process(name)

    async def process(self, name: str) -> int:
        return await running_as(f"objects/sources/{name}")

    def hold_back(self, name: str) -> None:
        os.mkfifo(f"{self.program}.{name}")

    def let_go(self, *names: str) -> None:
        for name in names:
            fifo = Path(f"{self.program}.{name}")
            writing = os.open(fifo, os.O_RDWR)  # who waits for a writer has one until it is closed
            fifo.unlink()
            os.close(writing)

    async def made(self, chunks: int) -> list[SegmentReady]:
        bodies = await facts(self.messaging, "events.segment.ready.opening", chunks * SEGMENTS_EACH)
        return [SegmentReady.model_validate_json(body) for body in bodies]

    async def until(self, *, in_hand: int, waiting: int = 0) -> None:
        """Wait until so many messages of the lane are in hand, and so many wait for that."""
        async with asyncio.timeout(60):
            while True:
                info = await self.messaging.jetstream.consumer_info(LANE.stream, LANE.durable)
                if (info.num_ack_pending, info.num_pending) == (in_hand, waiting):
                    return
                await asyncio.sleep(0.02)

    async def asked_for(self) -> int:
        """Return how many messages of the lane are asked for."""
        info = await self.messaging.jetstream.consumer_info(LANE.stream, LANE.durable)
        return info.num_waiting or 0


@pytest.fixture
async def work(media, make_task, nats, messaging, tmp_path) -> AsyncIterator[Work]:
    program = script(tmp_path / "patient-ffmpeg", HOLD_BACK, f'exec "{FFMPEG}" "$@"')
    encoder = Encoder(nats.url, tmp_path / "objects", program)
    await encoder.start()
    await messaging.broker.connect()
    await hear_first(messaging, EncoderAlive)
    store = open_store(f"file://{tmp_path}/objects")
    source = media.numbered("constant.mp4", "25", 150)
    yield Work(encoder, messaging, store, source, program, make_task)
    await encoder.stop(signal.SIGKILL)
    await until_gone(f"{tmp_path}/objects/sources")


async def test_opening_overtakes_a_chunk_that_rests_while_it_runs_ahead(work: Work):
    ahead = await work.begin("ahead")
    await work.begin("viewer", Lane.ONDEMAND)
    await until_state(ahead, "T")
    opening = await work.ask("opening")
    work.let_go("opening")
    assert {one.task_id for one in await work.made(1)} == {opening.task_id}
    await work.until(in_hand=1)
    assert await work.process("ahead") == ahead


async def test_what_runs_ahead_stands_still_for_an_opening_and_goes_on(work: Work):
    ahead = await work.begin("ahead")
    await work.begin("opening")
    await until_state(ahead, "T")
    work.let_go("opening")
    await work.made(1)
    await until_state(ahead, RUNNING)
    work.let_go("ahead")
    assert {one.number for one in await work.made(2)} == {1, 2, 5, 6}
    await work.until(in_hand=0)


async def test_two_openings_go_one_after_the_other(work: Work):
    await work.begin("opening")
    assert await work.asked_for() == 0
    await work.ask("second")
    await work.until(in_hand=1, waiting=1)
    assert not pids_with("objects/sources/second")
    work.let_go("opening")
    await work.process("second")


async def test_no_third_chunk_is_taken_until_the_opening_is_done(work: Work):
    await work.begin("ahead")
    await work.begin("opening")
    assert await work.asked_for() == 0
    await work.ask("second")
    await work.until(in_hand=2, waiting=1)
    work.let_go("opening")
    await work.process("second")
    await work.until(in_hand=2)


async def test_both_are_kept_beyond_the_time_of_a_silent_one(work: Work):
    ahead = await work.begin("ahead")
    await work.begin("opening")
    for _ in range(14):
        await asyncio.sleep(LANE.ack_wait_s / 10)
    known = await work.messaging.jetstream.consumer_info(LANE.stream, LANE.durable)
    assert (known.num_ack_pending, known.num_redelivered) == (2, 0)
    assert state(ahead) != "X"


async def test_encoder_that_stops_hands_both_on(work: Work):
    await work.begin("ahead")
    await work.begin("opening")
    assert await work.encoder.stop(signal.SIGTERM) == 0
    known = await work.messaging.jetstream.consumer_info(LANE.stream, LANE.durable)
    assert (known.num_ack_pending, known.num_pending) == (0, 2)
    work.let_go("ahead", "opening")
    await work.encoder.start()
    assert {one.number for one in await work.made(2)} == {1, 2, 5, 6}


async def test_both_chunks_of_a_killed_encoder_are_made_by_the_next(work: Work):
    await work.begin("ahead")
    await work.begin("opening")
    await work.encoder.stop(signal.SIGKILL)
    work.let_go("ahead", "opening")
    await work.encoder.start()
    assert {one.number for one in await work.made(2)} == {1, 2, 5, 6}
    await work.until(in_hand=0)
