"""The encoder as a process, beside a real NATS server."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from reelay.common.commands import EncodeChunk, EncoderAlive, Lane
from reelay.common.events import SegmentFailed, SegmentReady
from reelay.common.storage import open_store
from reelay.common.streams import declare_streams, work_consumer

from .processes import pids_with, running_as, state, until_gone, until_state
from .service import facts, hear_first

pytestmark = pytest.mark.integration


async def test_chunk_becomes_announced_segments(media, make_task, encoder, messaging, tmp_path):
    await messaging.broker.connect()
    alive = await hear_first(messaging, EncoderAlive)
    assert alive.providers == ["software"]
    await declare_streams(messaging.jetstream)
    store = open_store(f"file://{tmp_path}/objects")
    path = media.numbered("constant.mp4", "25", 150)
    task: EncodeChunk = make_task(path, "25", 25, [25, 50], sizes=[(320, 180), (160, 90)])
    await store.put(task.source.key, path)
    await messaging.publish(task)
    bodies = await facts(messaging, SegmentReady.subject, 4)
    ready = [SegmentReady.model_validate_json(body) for body in bodies]
    assert {(r.rendition, r.number) for r in ready} == {
        ("180p", 1), ("180p", 2), ("90p", 1), ("90p", 2),
    }  # fmt: skip
    assert [r.last_of_task for r in ready] == [False, False, False, True]
    for one in ready:
        assert (await store.head(one.staging_key)).size_bytes == one.size_bytes
    assert await encoder.stop(signal.SIGTERM) == 0


async def test_killed_encoder_s_chunk_is_finished_by_the_next(
    media, make_task, encoder, messaging, tmp_path
):
    await messaging.broker.connect()
    await hear_first(messaging, EncoderAlive)
    store = open_store(f"file://{tmp_path}/objects")
    source = ["-f", "lavfi", "-i", "testsrc2=s=1280x720:r=25:d=13"]
    path = media.make("moving.mp4", *source, "-c:v", "libx264", "-preset", "ultrafast")
    task: EncodeChunk = make_task(path, "25", 0, [25, 25, 50, 100, 100], sizes=[(640, 360)])
    await store.put(task.source.key, path)
    await messaging.publish(task)
    await facts(messaging, SegmentReady.subject, 1)
    await encoder.stop(signal.SIGKILL)
    await encoder.start()
    bodies = await facts(messaging, SegmentReady.subject, 5)
    numbers = {SegmentReady.model_validate_json(body).number for body in bodies}
    assert numbers == {1, 2, 3, 4, 5}


async def test_hopeless_chunk_is_announced_as_failed(make_task, encoder, messaging, tmp_path):
    await messaging.broker.connect()
    await hear_first(messaging, EncoderAlive)
    store = open_store(f"file://{tmp_path}/objects")
    playlist = tmp_path / "video.mp4"
    playlist.write_text("#EXTM3U\n")
    task: EncodeChunk = make_task(playlist, demuxer="hls")
    await store.put(task.source.key, playlist)
    await messaging.publish(task)
    (body,) = await facts(messaging, SegmentFailed.subject, 1)
    failed = SegmentFailed.model_validate_json(body)
    assert failed.task_id == task.task_id
    assert "hls" in failed.reason


@pytest.fixture
async def paused(media, make_task, encoder, messaging, tmp_path) -> AsyncIterator[int]:
    """The process of a ladder chunk that stands still for an opening chunk; both take seconds."""
    await messaging.broker.connect()
    await hear_first(messaging, EncoderAlive)
    store = open_store(f"file://{tmp_path}/objects")
    source = ["-f", "lavfi", "-i", "testsrc2=s=1280x720:r=25:d=60"]
    path = media.make("long.mp4", *source, "-c:v", "libx264", "-preset", "ultrafast")
    for name, lane, size in (("low", Lane.LADDER, (640, 360)), ("high", Lane.OPENING, (1280, 720))):
        task = make_task(Path(name), "25", 0, [25, 25, *[100] * 14], sizes=[size], lane=lane)
        await store.put(task.source.key, path)
        await messaging.publish(task)
        pid = await running_as(f"{tmp_path}/objects/{task.source.key}")
        await asyncio.sleep(0.5)
        if lane is Lane.LADDER:
            ladder = pid
    await until_state(ladder, "T")
    yield ladder
    await encoder.stop(signal.SIGKILL)
    await until_gone(f"{tmp_path}/objects/sources")


async def test_stopping_while_paused_leaves_no_process(paused, encoder, tmp_path):
    assert await encoder.stop(signal.SIGTERM) == 0
    await until_state(paused, "X")
    await until_gone(f"{tmp_path}/objects/sources")


async def test_killing_while_paused_leaves_no_process(paused, encoder, tmp_path):
    await encoder.stop(signal.SIGKILL)
    await until_state(paused, "XZ")


async def stop_another(word: str, paused: int) -> int:
    """Stop the FFmpeg of the opening, whose end would let the other go on; return it.

    One makes the first segment, the next one the others.
    """
    async with asyncio.timeout(20):
        while True:
            for pid in pids_with(word):
                if pid != paused:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(pid, signal.SIGSTOP)
                    if state(pid) == "T":
                        return pid
            await asyncio.sleep(0.01)


async def test_paused_chunk_is_kept_beyond_the_time_of_a_silent_one(paused, messaging, tmp_path):
    consumer = work_consumer("software", Lane.LADDER)
    opening = await stop_another(f"{tmp_path}/objects/sources", paused)
    try:
        for _ in range(14):
            await asyncio.sleep(consumer.ack_wait_s / 10)
            assert state(paused) == "T"
    finally:
        os.killpg(opening, signal.SIGCONT)
    known = await messaging.jetstream.consumer_info("WORK", consumer.durable)
    assert known.num_ack_pending == 1
    assert known.num_redelivered == 0
