"""The encoder's one use case: make a chunk, and announce each segment the moment it is stored."""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import Protocol

from reelay.common.commands import EncodeChunk
from reelay.common.events import SegmentFailed, SegmentReady
from reelay.common.fitness import Check
from reelay.common.outages import outlast
from reelay.common.storage import ObjectMissingError, ObjectStore, assert_in_use
from reelay.encoder.domain.cutting import EncodedSegment
from reelay.encoder.domain.errors import FFmpegFailedError

Announce = Callable[[SegmentReady | SegmentFailed, str], Awaitable[None]]
"""Publishes a fact under a message id that is the same when it is published again."""


LOOK_INTERVAL_S = 1.0
"""How often at most it is looked whether a chunk is still wanted."""

PLAN = "plan.json"
END_MARKS = ("index.json", "failed.json")
"""Objects that the packager writes when a package is complete, or failed or deleted."""


class Transcoder(Protocol):
    """Turns a chunk of a source into segments."""

    def transcode(self, task: EncodeChunk) -> AsyncGenerator[EncodedSegment]:
        """Yield every planned segment of every rendition once, each as soon as it is whole.

        A segment that the source has no pictures or sound for is filled up and carries a
        warning. Raises UnplayableTaskError, ForbiddenSourceError and ObjectMissingError, which no
        repetition helps, and FFmpegFailedError, PlanMismatchError or StoreUnavailableError, which
        one may.
        """
        ...


async def encode_chunk(
    task: EncodeChunk, transcoder: Transcoder, store: ObjectStore, announce: Announce, check: Check
) -> None:
    """Store and announce the segments of a chunk, each at once.

    Safe to repeat: a segment stored by an earlier delivery stays as it is, and is announced again.
    Ends without more segments when the package is deleted, failed or whole meanwhile. A segment
    that was made is kept while a server is away, as long as `outlast` does; what it raises is
    raised, and what the transcoder and the store do; StoreUnavailableError also where the store is
    empty.
    """
    need = Need(store, task.package_id)
    if not await need.lasts():
        return
    try:
        await _make(task, transcoder, store, announce, need, check)
    except ObjectMissingError:
        if not await need.lasts():
            return  # its source went with it
        await assert_in_use(store)
        raise


async def _make(
    task: EncodeChunk,
    transcoder: Transcoder,
    store: ObjectStore,
    announce: Announce,
    need: "Need",
    check: Check,
) -> None:
    outstanding = len(task.video) * len(task.segments)
    outstanding += len(task.audio_segments) if task.audio_rendition else 0
    async with aclosing(transcoder.transcode(task)) as segments:
        async for segment in segments:
            outstanding -= 1
            # FFmpeg waits meanwhile; without it, all that it made would be made again.
            storing = partial(_store, task, segment, store, last_of_task=outstanding == 0)
            ready = await outlast(storing, check)
            identity = f"{_run(task)}:{ready.rendition}:{ready.number}"
            await outlast(partial(announce, ready, identity), check)
            if not await outlast(need.lasted_just_now, check):
                return


async def _store(
    task: EncodeChunk, segment: EncodedSegment, store: ObjectStore, *, last_of_task: bool
) -> SegmentReady:
    """Store a segment; return the fact."""
    key = staging_key(task, segment)
    stored = await store.put(key, segment.data)
    return SegmentReady(
        task_id=task.task_id,
        package_id=task.package_id,
        rendition=segment.rendition,
        number=segment.spec.number,
        staging_key=key,
        size_bytes=stored.info.size_bytes,
        lane=task.lane,
        made_first=segment.made_first,
        made_last=segment.made_last,
        last_of_task=last_of_task,
        attempt=task.attempt,
        warnings=list(segment.warnings),
    )


class Need:
    """Whether a package is still being made, as far as the store tells."""

    def __init__(self, store: ObjectStore, package_id: str) -> None:
        self._store = store
        self._folder = f"packages/{package_id}"
        self._planned = False
        self._lasts = True
        self._looked_s = -math.inf

    async def lasts(self) -> bool:
        """Tell whether the package is neither whole, nor given up, nor removed.

        Its plan may come after its first chunk; once seen, it goes only with the package.
        """
        self._looked_s = time.monotonic()
        planned, *ended = await asyncio.gather(*map(self._exists, (PLAN, *END_MARKS)))
        removed = self._planned and not planned
        self._planned = planned
        self._lasts = not (removed or any(ended))
        return self._lasts

    async def lasted_just_now(self) -> bool:
        """Tell the same as it was LOOK_INTERVAL_S ago at the most."""
        if time.monotonic() - self._looked_s > LOOK_INTERVAL_S:
            return await self.lasts()
        return self._lasts

    async def _exists(self, name: str) -> bool:
        try:
            await self._store.head(f"{self._folder}/{name}")
        except ObjectMissingError:
            return False
        return True


async def give_up_chunk(task: EncodeChunk, error: Exception, announce: Announce) -> None:
    """Announce that no further segment of a chunk will come from this attempt."""
    failed = SegmentFailed(
        task_id=task.task_id,
        package_id=task.package_id,
        attempt=task.attempt,
        reason=str(error)[:500],
        log_tail=error.log_tail if isinstance(error, FFmpegFailedError) else "",
    )
    await announce(failed, f"{_run(task)}:failed")


def staging_key(task: EncodeChunk, segment: EncodedSegment) -> str:
    """Return the object that holds a segment until the packager has taken it."""
    name = f"{segment.rendition}-{segment.spec.number}.mp4"
    return f"staging/{task.package_id}/{_run(task)}/{name}"


def _run(task: EncodeChunk) -> str:
    return f"{task.task_id}-{task.attempt}"
