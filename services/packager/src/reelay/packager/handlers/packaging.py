"""An encoder finished segments: package them, put them under their promised names, tell everyone.

Segments that arrive while Shaka Packager works wait, and go into its next call together: nothing
is delayed when little happens, and calls are few when much does.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from nats.errors import Error as NatsError

from reelay.common import metrics
from reelay.common.commands import Lane, SegmentsStored
from reelay.common.errors import PermanentError, TransientError
from reelay.common.events import SegmentFailed, SegmentReady
from reelay.common.storage import (
    ObjectMissingError,
    ObjectStore,
    PutResult,
    assert_in_use,
    read_all,
)
from reelay.packager.adapters.copies import local_copy
from reelay.packager.adapters.shaka import CmafSegment, RawSegment, ShakaPackager
from reelay.packager.domain import boxes
from reelay.packager.domain.manifests import frame_ticks
from reelay.packager.domain.outcome import StoredObject
from reelay.packager.domain.plan import REORDER_FRAMES, Plan, Rendition
from reelay.packager.handlers.bookkeeping import Bookkeeping, StoredSegment, UnderWay
from reelay.packager.handlers.repairing import Repairing

BATCH = 16
"""Segments in one call at the most: so many are in memory, and as many of those that are urgent."""
LINGER_S = 0.5
"""How long ladder segments wait for a full batch, to share a call and a transaction."""
PICTURE_SOON_S = 0.2
"""How long sound that is waited for itself waits for the picture of the same chunk."""

Tell = Callable[[SegmentsStored], Awaitable[None]]
"""Sends a plain message to whoever listens now."""

log = structlog.get_logger()


class StagedSegmentGoneError(TransientError):
    """An encoder's segment is not where it was announced, or not any more."""


class WrongSegmentError(PermanentError):
    """A packaged segment does not lie where the plan promised it."""


class OtherBytesError(PermanentError):
    """A segment that was made again has other bytes than were announced."""


@dataclass(frozen=True)
class _Job:
    ready: SegmentReady
    done: "asyncio.Future[None]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Packaging:
    """The use case of a finished segment."""

    def __init__(
        self,
        store: ObjectStore,
        shaka: ShakaPackager,
        books: Bookkeeping,
        repairing: Repairing,
        tell: Tell,
        linger_s: float = LINGER_S,
    ) -> None:
        self._store = store
        self._shaka = shaka
        self._books = books
        self._repairing = repairing
        self._tell = tell
        self._linger_s = linger_s
        self._urgent: asyncio.Queue[_Job] = asyncio.Queue()
        self._patient: asyncio.Queue[_Job] = asyncio.Queue()

    async def package_segment(self, ready: SegmentReady) -> None:
        """Return when the segment is stored and announced; it may have been before."""
        job = _Job(ready)
        patient = ready.lane == Lane.LADDER
        (self._patient if patient else self._urgent).put_nowait(job)
        try:
            await job.done
        except OtherBytesError as error:
            log.warning("cannot be repaired", package_id=ready.package_id, reason=error.detail)
            await self._repairing.replace(ready.package_id)
            await self._store.delete(ready.staging_key)

    async def give_up(self, body: bytes, error: Exception) -> None:
        """End the package of a segment that cannot be packaged, however often it is tried."""
        ready = SegmentReady.model_validate_json(body)
        log.error("unpackageable", rendition=ready.rendition, number=ready.number, error=str(error))
        await self._books.fail_package(
            SegmentFailed(
                task_id=ready.task_id,
                package_id=ready.package_id,
                attempt=ready.attempt,
                reason="A part of this video could not be packaged; the packager's log says why.",
                log_tail=str(error),
            )
        )

    async def run(self) -> None:
        """Work off finished segments for ever; those that a viewer waits for on their own way."""
        await asyncio.gather(
            self._work_off(self._urgent, self._urgent_linger_s),
            self._work_off(self._patient, lambda jobs: self._linger_s),
        )

    async def _work_off(
        self, queue: "asyncio.Queue[_Job]", linger_s: Callable[[list[_Job]], float]
    ) -> None:
        """Package what is queued, after waiting for more, as long as `linger_s` says in all."""
        loop = asyncio.get_running_loop()
        while True:
            jobs = [await queue.get()]
            began = loop.time()
            while len(jobs) < BATCH:
                try:
                    async with asyncio.timeout_at(began + linger_s(jobs)):
                        jobs.append(await queue.get())
                except TimeoutError:
                    break
            await self._attempt(jobs)

    def _urgent_linger_s(self, jobs: list[_Job]) -> float:
        """Return how long these wait: sound alone shows nothing, and its picture comes soon."""
        alone = all(self._books.is_sound_of_pictures(job.ready) for job in jobs)
        return PICTURE_SOON_S if alone else 0.0

    async def _attempt(self, jobs: list[_Job]) -> None:
        """Package jobs together; if that fails, each by itself, so that none spoils others."""
        try:
            await self._package([job.ready for job in jobs])
        except Exception as error:  # the boundary: each handler gets its own job's error
            if len(jobs) == 1:
                if not jobs[0].done.done():
                    jobs[0].done.set_exception(error)
                return
            for job in jobs:
                await self._attempt([job])
            return
        for job in jobs:
            if not job.done.done():
                job.done.set_result(None)

    async def _package(self, batch: list[SegmentReady]) -> None:
        wanted, under_way = await self._books.wanted(batch)
        if wanted:
            cmaf = await self._run_shaka(wanted, under_way)
            stored = await asyncio.gather(
                *(
                    self._store_segment(ready, segment, under_way[ready.package_id])
                    for ready, segment in zip(wanted, cmaf, strict=True)
                )
            )
            await self._tell_viewers(wanted)
            await self._books.note(stored)
        await asyncio.gather(*(self._store.delete(ready.staging_key) for ready in batch))

    async def _tell_viewers(self, stored: list[SegmentReady]) -> None:
        """Let those who wait look at once: the fact, which nobody misses, takes 15 ms more."""
        for package_id in {ready.package_id for ready in stored}:
            numbers: dict[str, list[int]] = {}
            for ready in stored:
                if ready.package_id == package_id:
                    numbers.setdefault(ready.rendition, []).append(ready.number)
            news = SegmentsStored(
                package_id=package_id, renditions=sorted(numbers), numbers=numbers
            )
            with suppress(NatsError, OSError):
                await self._tell(news)

    async def _run_shaka(
        self, batch: list[SegmentReady], under_way: dict[str, UnderWay]
    ) -> list[CmafSegment]:
        async with AsyncExitStack() as stack:
            copies = await asyncio.gather(
                *(self._copy(ready, stack) for ready in batch),
                return_exceptions=True,  # the stack has to outlive all of them
            )
            raw = []
            for ready, copy in zip(batch, copies, strict=True):
                if isinstance(copy, BaseException):
                    raise copy
                kind = under_way[ready.package_id].plan.rendition(ready.rendition).kind
                raw.append(RawSegment(copy, kind))
            return await self._shaka.package(raw)

    async def _copy(self, ready: SegmentReady, stack: AsyncExitStack) -> Path:
        try:
            return await stack.enter_async_context(local_copy(self._store, ready.staging_key))
        except ObjectMissingError as error:
            await assert_in_use(self._store)
            raise StagedSegmentGoneError(f"{ready.staging_key} is gone") from error

    async def _store_segment(
        self, ready: SegmentReady, segment: CmafSegment, package: UnderWay
    ) -> StoredSegment:
        plan = package.plan
        rendition = plan.rendition(ready.rendition)
        check_against_plan(plan, rendition, ready.number, segment)
        end = rendition.spans[-1].first + rendition.spans[-1].frames
        ticks = frame_ticks(plan, rendition)
        delay = REORDER_FRAMES * ticks if rendition.rung else 0
        init = boxes.finish_init(segment.init, duration=end * ticks, reorder_delay=delay)
        media = boxes.finish_fragment(segment.media, number=ready.number, reorder_delay=delay)
        check_against_record(
            package, {rendition.init_path: init, rendition.segment_path(ready.number): media}
        )
        folder = f"packages/{ready.package_id}"
        init_object, media_object = await asyncio.gather(
            self._put(folder, rendition.init_path, init),
            self._put(folder, rendition.segment_path(ready.number), media),
        )
        if init_object.sha256 != hashlib.sha256(init).hexdigest():
            raise WrongSegmentError(f"{rendition.name}: two chunks disagree on the init segment")
        metrics.SEGMENTS_STORED.labels(rendition.name).inc()
        return StoredSegment(ready, init_object, media_object)

    async def _put(self, folder: str, path: str, body: bytes) -> StoredObject:
        result: PutResult = await self._store.put(f"{folder}/{path}", body)
        if not result.created:  # somebody was first: what they stored is what counts
            body = await read_all(self._store, f"{folder}/{path}")
        return StoredObject(path, len(body), hashlib.sha256(body).hexdigest())


def check_against_record(package: UnderWay, made: dict[str, bytes]) -> None:
    """Raise OtherBytesError unless objects that were announced once are the same again."""
    for path, body in made.items():
        digest = hashlib.sha256(body).hexdigest()
        if package.recorded.get(path, digest) != digest:
            raise OtherBytesError(f"{path} was made again with other bytes")


def check_against_plan(plan: Plan, rendition: Rendition, number: int, segment: CmafSegment) -> None:
    """Raise WrongSegmentError unless a segment has its planned start, length and level."""
    span = rendition.spans[number - 1]
    facts = boxes.fragment_facts(segment.media)
    expected = boxes.FragmentFacts(span.first * frame_ticks(plan, rendition), span.frames)
    if facts != expected:
        raise WrongSegmentError(f"{rendition.name}/{number}: {facts}, planned {expected}")
    if rendition.rung and boxes.avc_level_idc(segment.init) != rendition.rung.level.idc:
        raise WrongSegmentError(f"{rendition.name}/{number}: not level {rendition.rung.level.name}")
