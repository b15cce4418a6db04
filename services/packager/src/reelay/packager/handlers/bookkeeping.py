"""What is stored of each package: noted, announced, and ended with an index when all is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import structlog

from reelay.common.commands import Lane
from reelay.common.events import (
    ManifestUpdated,
    RenditionProgress,
    SegmentFailed,
    SegmentRange,
    SegmentReady,
    TranscodeCompleted,
    TranscodeFailed,
)
from reelay.common.outbox import Outbox, Transaction
from reelay.common.storage import ObjectStore
from reelay.packager.adapters import repository, virtual_times
from reelay.packager.adapters.tables import PackageRow, TaskRow
from reelay.packager.domain.chunks import is_made
from reelay.packager.domain.outcome import FAILED, INDEX, PLAN, StoredObject, failure, index
from reelay.packager.domain.plan import Plan
from reelay.packager.handlers.dispatching import Dispatcher
from reelay.packager.handlers.promising import note_promises, store_promises

log = structlog.get_logger()


@dataclass(frozen=True)
class StoredSegment:
    """A segment and its rendition's init segment, under their final names."""

    ready: SegmentReady
    init: StoredObject
    media: StoredObject


@dataclass(frozen=True)
class UnderWay:
    """A package that is being made."""

    plan: Plan
    recorded: Mapping[str, str]
    """Path -> SHA-256 of a package that was complete once: no path gets other bytes then."""


class Bookkeeping:
    """Use cases that change what is known of packages under way."""

    def __init__(self, outbox: Outbox, store: ObjectStore, dispatcher: Dispatcher) -> None:
        self._outbox = outbox
        self._store = store
        self._dispatcher = dispatcher

    async def wanted(
        self, batch: Sequence[SegmentReady]
    ) -> tuple[list[SegmentReady], dict[str, UnderWay]]:
        """Return those segments that are not stored yet, each once, and their packages.

        Segments of packages that are not under way any more are not wanted.
        """
        fresh = {(r.package_id, r.rendition, r.number): r for r in batch}
        packages: dict[str, UnderWay] = {}
        async with self._outbox.transaction() as tx:
            for package_id in {k[0] for k in fresh}:
                row = await repository.find(tx.session, package_id)
                if row is None or row.state != repository.PLANNED:
                    continue
                packages[package_id] = await _under_way(tx, row)
                for name, bits in repository.stored_bits(row).items():
                    for number in [k[2] for k in fresh if k[:2] == (package_id, name)]:
                        if bits >> (number - 1) & 1:
                            del fresh[package_id, name, number]
        return [ready for ready in fresh.values() if ready.package_id in packages], packages

    def is_sound_of_pictures(self, ready: SegmentReady) -> bool:
        """Tell whether a segment is the sound of a video, as far as this replica knows."""
        plan = repository.known_plan(ready.package_id)
        if plan is None or plan.audio_rendition is None or not plan.rungs:
            return False
        return ready.rendition == plan.audio_rendition.name

    async def note(self, stored: Sequence[StoredSegment]) -> None:
        """Note stored segments, announce them, dispatch what they make room for.

        Most make none: of a chunk only the last segment does, or the first that shows a picture.
        """
        finished = []
        makes_room = False
        by_package = sorted(stored, key=lambda s: s.ready.package_id)
        async with self._outbox.transaction() as tx:
            for package_id, group in groupby(by_package, key=lambda s: s.ready.package_id):
                row = await repository.lock(tx.session, package_id)
                if row is None or row.state != repository.PLANNED:
                    continue
                makes_room |= await self._note_package(tx, row, list(group))
                if _is_whole(row):
                    finished.append(package_id)
        self._dispatcher.has_room |= makes_room  # until it is decided, however often that fails
        for package_id in finished:
            await self.complete(package_id)
        if makes_room:
            # By itself: viewers wait for the news.
            with self._dispatcher.deciding():
                async with self._outbox.transaction() as tx:
                    await self._dispatcher.dispatch(tx)

    async def _note_package(
        self, tx: Transaction, row: PackageRow, stored: list[StoredSegment]
    ) -> bool:
        """Note segments of one package; tell whether anything can be dispatched instead of them."""
        for init in {s.init.path: s.init for s in stored}.values():
            await repository.insert_object(tx.session, row.package_id, init)
        for item in stored:
            made = (item.ready.made_first, item.ready.made_last)
            await repository.insert_object(tx.session, row.package_id, item.media, made)
        plan, bits = repository.plan_of(row), _add(row, stored)
        was_playable = row.playable
        row.playable = all(bits.get(r.name, 0) & 1 for r in plan.opening)
        tx.session.add(row)
        tasks = await repository.tasks(tx.session, [row.package_id])
        over = [t.task_id for t in tasks if is_made(plan, bits, repository.chunk_of(t))]
        await repository.drop_tasks(tx.session, over)
        # Of other lanes nobody asks for it.
        if goes_on := {s.ready.task_id for s in stored if s.ready.lane == Lane.OPENING} - {*over}:
            await repository.note_progress(tx.session, goes_on)
        await tx.announce(_progress(row, plan, bits, stored))
        return bool(over) or row.playable != was_playable

    async def complete(self, package_id: str) -> None:
        """Write `index.json` and announce the package; repeating it changes nothing.

        Whoever calls this saw it whole, and may have stood still since: it may have been completed,
        and be under repair.
        """
        async with self._outbox.transaction() as tx:
            row = await repository.lock(tx.session, package_id)
            if row is None or row.state != repository.PLANNED or not _is_whole(row):
                return
            listing = index(package_id, await self._objects(tx, row))
            await self._store.put(f"packages/{package_id}/{INDEX}", listing.body)
            row.state = repository.COMPLETE
            await virtual_times.forget(tx.session, package_id)
            row.root_digest, row.size_bytes = listing.root_digest, listing.size_bytes
            tx.session.add(row)
            await tx.announce(
                TranscodeCompleted(
                    package_id=package_id,
                    root_digest=listing.root_digest,
                    size_bytes=listing.size_bytes,
                    warnings=row.warnings,
                )
            )
        log.info("complete", package_id=package_id, root_digest=listing.root_digest)

    async def _objects(self, tx: Transaction, row: PackageRow) -> list[StoredObject]:
        """Return the objects of a package whose segments are stored, and of its promises.

        A packager that died while it planned has not noted these, and its request comes later.
        """
        rows = await repository.objects(tx.session, row.package_id)
        if all(item.path != PLAN for item in rows):
            bodies = await store_promises(self._store, repository.plan_of(row))
            await note_promises(tx.session, row.package_id, bodies)
            rows = await repository.objects(tx.session, row.package_id)
        return [StoredObject(item.path, item.size_bytes, item.sha256) for item in rows]

    async def fail_package(self, failed: SegmentFailed) -> None:
        """End a package whose segments cannot be made, with a reason for people.

        One that was complete before it was damaged stays so, for what is left of it. The failure
        of a task that is over counts no more: it is delivered late, after the package was taken up
        again, or another task made the segments; nor does that of an attempt before the last.
        """
        async with self._outbox.transaction() as tx:
            row = await repository.lock(tx.session, failed.package_id)
            if row is None or row.state != repository.PLANNED:
                return
            if not await _is_current(tx, failed):
                return
            if row.root_digest is None:
                await self._fail(tx, row, failed)
            else:
                row.state = repository.COMPLETE
            tx.session.add(row)
            await repository.delete_tasks(tx.session, failed.package_id)
            await virtual_times.forget(tx.session, failed.package_id)
        self._dispatcher.has_room = True
        log.error("failed", package_id=failed.package_id, reason=failed.reason,
                  is_repair=row.root_digest is not None, encoder_log=failed.log_tail)  # fmt: skip

    async def _fail(self, tx: Transaction, row: PackageRow, failed: SegmentFailed) -> None:
        """End a package that was never complete."""
        # While the row is locked nobody takes the package up again, which would remove this.
        await self._store.put(f"packages/{row.package_id}/{FAILED}", failure(failed.reason))
        row.state, row.reason = repository.FAILED, failed.reason
        await tx.announce(
            TranscodeFailed(
                package_id=row.package_id,
                asset_id=row.asset_id,
                reason=failed.reason,
                decided_at=await repository.now(tx.session),
            )
        )


async def _is_current(tx: Transaction, failed: SegmentFailed) -> bool:
    """Tell whether a task is under way and not announced again since; neither changes now."""
    task = await tx.session.get(TaskRow, failed.task_id, with_for_update=True)
    return task is not None and failed.attempt >= task.attempt


def _is_whole(row: PackageRow) -> bool:
    return row.segments_stored == row.segments_total


async def _under_way(tx: Transaction, row: PackageRow) -> UnderWay:
    once = await repository.objects(tx.session, row.package_id) if row.root_digest else []
    return UnderWay(repository.plan_of(row), {item.path: item.sha256 for item in once})


def _add(row: PackageRow, stored: Sequence[StoredSegment]) -> dict[str, int]:
    """Note segments in a package's row; return all that are stored as bit sets."""
    bits = repository.stored_bits(row)
    for segment in stored:
        name = segment.ready.rendition
        bits[name] = bits.get(name, 0) | 1 << (segment.ready.number - 1)
    row.stored = {name: f"{value:x}" for name, value in bits.items()}
    row.segments_stored = sum(value.bit_count() for value in bits.values())
    row.warnings = sorted({*row.warnings, *(w for s in stored for w in s.ready.warnings)})
    return bits


def _progress(
    row: PackageRow, plan: Plan, bits: Mapping[str, int], stored: Sequence[StoredSegment]
) -> ManifestUpdated:
    """Return the news of segments that were just noted."""
    return ManifestUpdated(
        package_id=row.package_id,
        available=_ranges(stored),
        segments_stored=row.segments_stored,
        segments_total=row.segments_total,
        playable=row.playable,
        renditions=[
            RenditionProgress(
                rendition=r.name, stored=bits.get(r.name, 0).bit_count(), total=len(r.spans)
            )
            for r in plan.renditions
        ],
    )


def _ranges(stored: Sequence[StoredSegment]) -> list[SegmentRange]:
    """Return consecutive segments of one rendition as ranges."""
    ranges: list[SegmentRange] = []
    for rendition, number in sorted((s.ready.rendition, s.ready.number) for s in stored):
        last = ranges[-1] if ranges else None
        if last and last.rendition == rendition and last.last + 1 == number:
            ranges[-1] = last.model_copy(update={"last": number})
        else:
            ranges.append(SegmentRange(rendition=rendition, first=number, last=number))
    return ranges
