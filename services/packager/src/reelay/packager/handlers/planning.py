"""A video needs a package: probe its source, plan, promise, and let the encoders begin."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import structlog

from reelay.common.errors import PermanentError
from reelay.common.events import (
    AssetUploaded,
    PackagePlanned,
    PackageRequested,
    RewriteRequested,
    TranscodeFailed,
    VideoDeleted,
)
from reelay.common.outbox import Outbox, Transaction
from reelay.common.storage import ObjectMissingError, ObjectStore, assert_in_use
from reelay.packager.adapters import references, repository, rewrites, virtual_times
from reelay.packager.adapters.ffprobe import NeedsIndexError
from reelay.packager.adapters.sources import RewrittenGoneError, SourceReader
from reelay.packager.adapters.tables import PackageRow
from reelay.packager.domain.outcome import FAILED, failure
from reelay.packager.domain.plan import Plan, make_plan
from reelay.packager.domain.source import SourceFacts
from reelay.packager.domain.tasks import source_spec
from reelay.packager.handlers.dispatching import Dispatcher
from reelay.packager.handlers.promising import note_promises, store_promises
from reelay.packager.handlers.removing import finish_removal

DELETED = "This video was deleted."
UNPREPARED = "This file could not be prepared for playing; the packager's log says why."

Request = PackageRequested | RewriteRequested

log = structlog.get_logger()


class Planning:
    """Use cases around the beginning and the abandoning of packages."""

    def __init__(
        self,
        outbox: Outbox,
        store: ObjectStore,
        reader: SourceReader,
        dispatcher: Dispatcher,
        versions: Mapping[str, str],
    ) -> None:
        self._outbox = outbox
        self._store = store
        self._reader = reader
        self._dispatcher = dispatcher
        self._versions = versions

    async def expect(self, uploaded: AssetUploaded) -> None:
        """Begin to look at an uploaded file, while the catalog finds out whether it is wanted."""
        self._reader.begin(uploaded.source_key)

    async def plan_package(self, request: PackageRequested) -> None:
        """Answer a request with PackagePlanned, or with TranscodeFailed and its reason.

        Repeated requests find what is there; a failed package is tried again. A source that must be
        rewritten, which may take an hour, keeps no place of those that need not.
        """
        try:
            source = await self._reader.examine(request.source_key)
        except NeedsIndexError:
            await self._plan_without_index(request)
        except PermanentError as error:
            await self.reject(request, error)
        else:
            await self._plan(request, request.source_key, source)

    async def _plan_without_index(self, request: PackageRequested) -> None:
        """Plan from what was rewritten before, or let it be rewritten."""
        try:
            found = await self._reader.find_rewritten(request.asset_id)
        except PermanentError as error:
            await self.reject(request, error)
            return
        if found is not None:
            await self._plan(request, *found)
            return
        async with self._outbox.transaction() as tx:
            await tx.announce(RewriteRequested(**request.model_dump()))

    async def plan_rewritten(self, request: RewriteRequested) -> None:
        """Rewrite a source without an index, and answer its request as `plan_package` does.

        Raises ScratchFullError.
        """
        async with self._outbox.transaction() as tx:
            if await references.is_deleted(tx.session, request.video_id):
                return
        try:
            key, source = await self._reader.rewrite(request.asset_id, request.source_key)
        except PermanentError as error:
            await self.reject(request, error)
        else:
            await self._plan(request, key, source)

    async def _plan(self, request: Request, key: str, source: SourceFacts) -> None:
        """Plan a package from what lies under `key`, or find it, and let encoders begin.

        The opening is dispatched before the manifests are written: it begins while they are.
        """
        try:
            plan = make_plan(request.asset_id, source, self._versions)
        except PermanentError as error:
            await self.reject(request, error)
            return
        async with self._outbox.transaction() as tx:
            await references.hold(tx.session, str(request.video_id))
            if await references.is_deleted(tx.session, request.video_id):
                return
            await self._keep_rewritten(tx, request, key)
            plan, created = await self._insert(tx, plan, request.owner_id, key)
            await references.refer(tx.session, plan.package_id, request.video_id, request.owner_id)
            row = await repository.lock(tx.session, plan.package_id)
            assert row is not None
            plan = repository.plan_of(row)
            _move(row, plan, key, source)
            # While the row is locked: an end that comes before the manifests are there is later.
            decided_at = await repository.now(tx.session)
            if await self._revive(row) or created:
                row.owner_id = request.owner_id
                await self._dispatcher.admit(tx, row)
                # Of the time before: whoever decided while it ended has had the lock, and is done.
                await repository.delete_tasks(tx.session, row.package_id)
            elif row.state == repository.PLANNED:
                await self._dispatcher.pass_on(tx, row)
            opens = row.state == repository.PLANNED and await self._dispatcher.begin(tx, row)
        answer = planned(plan, request.video_id, decided_at)
        await self._promise(plan, answer, dispatch=not opens)

    async def _promise(self, plan: Plan, answer: PackagePlanned, *, dispatch: bool) -> None:
        """Store what follows from a plan, announce it, and dispatch what is to be done for it."""
        bodies = await store_promises(self._store, plan)
        async with self._outbox.transaction() as tx:
            await note_promises(tx.session, plan.package_id, bodies)
            await tx.announce(answer)
            if dispatch:
                await self._dispatcher.dispatch(tx)
        log.info("planned", package_id=plan.package_id, segments=plan.segments_total)

    async def give_up(self, body: bytes, error: Exception) -> None:
        """Let a video fail whose source cannot be planned, however often it is tried."""
        try:
            request = PackageRequested.model_validate_json(body)
        except ValueError:
            return  # nobody's request; the dead letter keeps it
        log.error("unplannable", asset_id=request.asset_id, error=repr(error)[:300])
        await self._refuse(request, UNPREPARED)

    async def forget_video(self, deleted: VideoDeleted) -> None:
        """Drop a video's reference for good, and the work that only it needed."""
        async with self._outbox.transaction() as tx:
            await references.hold(tx.session, str(deleted.video_id))
            await references.hold_packages_of(tx.session, deleted.video_id)
            unneeded = await references.drop_references(tx.session, deleted.video_id)
            await rewrites.forget(tx.session, deleted.video_id)
            rows = [await repository.lock(tx.session, package_id) for package_id in unneeded]
            ended = [row for row in rows if row and row.state == repository.PLANNED]
            for row in ended:  # all of them before turns are locked: no decision waits for a store
                await self._store.put(f"packages/{row.package_id}/{FAILED}", failure(DELETED))
            for row in ended:
                await self._cancel(tx, row)

    async def _cancel(self, tx: Transaction, row: PackageRow) -> None:
        """End a package that is being made for nobody."""
        row.state = repository.CANCELLED
        tx.session.add(row)
        await repository.delete_tasks(tx.session, row.package_id)
        await virtual_times.forget(tx.session, row.package_id)
        self._dispatcher.has_room = True
        log.info("cancelled", package_id=row.package_id)

    async def _insert(
        self, tx: Transaction, plan: Plan, owner_id: str, key: str
    ) -> tuple[Plan, bool]:
        """Insert the package, or find it; return its plan and whether it is new.

        One that is being removed is removed first; of one that was replaced, the successor counts.
        """
        while True:
            await references.hold(tx.session, plan.package_id)
            created = await repository.insert_package(tx.session, plan, owner_id, key)
            row = None if created else await repository.lock(tx.session, plan.package_id)
            if row is not None and row.state == repository.CONDEMNED:
                await finish_removal(tx, self._store, plan.package_id)
            elif row is not None and row.state == repository.SUPERSEDED:
                plan = plan.next_edition()
            else:
                return plan, created

    async def _keep_rewritten(self, tx: Transaction, request: Request, key: str) -> None:
        """Make sure that a rewritten source, which a collection may just remove, is there."""
        if key == request.source_key:
            return
        await references.hold(tx.session, key)
        try:
            await self._store.head(key)
        except ObjectMissingError as error:
            raise RewrittenGoneError from error

    async def _revive(self, row: PackageRow) -> bool:
        """Take up again what had failed or been abandoned; tell whether it was."""
        if row.state not in (repository.FAILED, repository.CANCELLED):
            return False
        row.state, row.reason = repository.PLANNED, None
        # Before any encoder could take the mark for the present state.
        await self._store.delete(f"packages/{row.package_id}/{FAILED}")
        return True

    async def reject(self, request: Request, error: PermanentError) -> None:
        """Refuse a request for what its file is; raise where the store is not the one shared."""
        if isinstance(error, ObjectMissingError):
            await assert_in_use(self._store)
        await self._refuse(request, error.detail)

    async def _refuse(self, request: Request, reason: str) -> None:
        log.warning("refused", asset_id=request.asset_id, reason=reason)
        async with self._outbox.transaction() as tx:
            await tx.announce(
                TranscodeFailed(
                    asset_id=request.asset_id,
                    reason=reason,
                    video_id=request.video_id,
                    decided_at=await repository.now(tx.session),
                )
            )


def _move(row: PackageRow, plan: Plan, key: str, source: SourceFacts) -> None:
    """Let a package that is not being made be made from where its source lies now.

    Not from another container: encoders are told to read it as the plan says.
    """
    is_read_alike = source_spec(source, key) == source_spec(plan.source, key)
    if row.state != repository.PLANNED and is_read_alike:
        row.source_key = key


def planned(plan: Plan, video_id: UUID, decided_at: datetime) -> PackagePlanned:
    """Return the answer to a video's request; decided by the database's clock."""
    return PackagePlanned(
        package_id=plan.package_id,
        asset_id=plan.asset_id,
        video_id=video_id,
        renditions=[r.name for r in plan.renditions],
        duration_s=float(plan.timeline.duration_s),
        segments_total=plan.segments_total,
        decided_at=decided_at,
    )
