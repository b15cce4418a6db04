"""A video needs a package: probe its source, plan, promise, and let the encoders begin."""

import asyncio
import hashlib
import json
from collections.abc import Mapping

import structlog

from reelay.common.errors import PermanentError
from reelay.common.events import PackagePlanned, PackageRequested, TranscodeFailed, VideoDeleted
from reelay.common.outbox import Outbox, Transaction
from reelay.common.storage import ObjectStore
from reelay.packager.adapters import repository
from reelay.packager.adapters.sources import SourceReader
from reelay.packager.adapters.tables import PackageRow
from reelay.packager.dispatching import Dispatcher
from reelay.packager.domain.manifests import compose
from reelay.packager.domain.outcome import FAILED, PLAN, failure
from reelay.packager.domain.plan import Plan, make_plan

DELETED = "This video was deleted."

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

    async def plan_package(self, request: PackageRequested) -> None:
        """Answer a request with PackagePlanned, or with TranscodeFailed and its reason.

        The opening is dispatched before the manifests are written: it begins while they are.
        Repeated requests find what is there; a failed package is tried again.
        """
        try:
            key, source = await self._reader.examine(request.asset_id, request.source_key)
            plan = make_plan(request.asset_id, source, self._versions)
        except PermanentError as error:
            await self._refuse(request, error.detail)
            return
        async with self._outbox.transaction() as tx:
            created = await repository.insert_package(tx.session, plan, request.owner_id, key)
            await repository.refer(tx.session, plan.package_id, request.video_id)
            row = await repository.lock(tx.session, plan.package_id)
            assert row is not None
            plan = repository.plan_of(row)
            revived = self._revive(row)
            if revived:  # before any encoder could take the mark for the present state
                await self._store.delete(f"packages/{row.package_id}/{FAILED}")
            if created or revived:
                await self._dispatcher.admit(tx, row)
            opens = row.state == repository.PLANNED and await self._dispatcher.begin(tx, row)
        promises = await self._write_promises(row.package_id, plan)
        async with self._outbox.transaction() as tx:
            for path, body in promises.items():
                digest = hashlib.sha256(body).hexdigest()
                await repository.insert_object(tx.session, row.package_id, path, len(body), digest)
            await self._announce(tx, request, row.package_id, plan)
            if not opens:
                await self._dispatcher.dispatch(tx)
        log.info("planned", package_id=row.package_id, segments=plan.segments_total)

    async def forget_video(self, deleted: VideoDeleted) -> None:
        """Drop a video's reference, and the work that only it needed."""
        async with self._outbox.transaction() as tx:
            for package_id in await repository.drop_references(tx.session, deleted.video_id):
                row = await repository.lock(tx.session, package_id)
                if row is not None and row.state == repository.PLANNED:
                    row.state = repository.CANCELLED
                    tx.session.add(row)
                    await repository.delete_tasks(tx.session, package_id)
                    await repository.forget_turn(tx.session, package_id)
                    await self._store.put(f"packages/{package_id}/{FAILED}", failure(DELETED))
                    log.info("cancelled", package_id=package_id)

    def _revive(self, row: PackageRow) -> bool:
        """Take up again what had failed or been abandoned; tell whether it was."""
        if row.state not in (repository.FAILED, repository.CANCELLED):
            return False
        row.state, row.reason = repository.PLANNED, None
        return True

    async def _write_promises(self, package_id: str, plan: Plan) -> dict[str, bytes]:
        """Store the plan, then the manifests; they are final (DESIGN, decision 2)."""
        promised = (json.dumps(plan.promised(), indent=1, sort_keys=True) + "\n").encode()
        folder = f"packages/{package_id}"
        await self._store.put(f"{folder}/{PLAN}", promised)
        manifests = compose(plan)
        await asyncio.gather(
            *(self._store.put(f"{folder}/{path}", body) for path, body in manifests.items())
        )
        return {PLAN: promised, **manifests}

    async def _announce(
        self, tx: Transaction, request: PackageRequested, package_id: str, plan: Plan
    ) -> None:
        await tx.announce(
            PackagePlanned(
                package_id=package_id,
                asset_id=request.asset_id,
                video_id=request.video_id,
                renditions=[r.name for r in plan.renditions],
                duration_s=float(plan.timeline.duration_s),
                segments_total=plan.segments_total,
            )
        )

    async def _refuse(self, request: PackageRequested, reason: str) -> None:
        log.warning("refused", asset_id=request.asset_id, reason=reason)
        async with self._outbox.transaction() as tx:
            await tx.announce(
                TranscodeFailed(asset_id=request.asset_id, reason=reason, video_id=request.video_id)
            )
