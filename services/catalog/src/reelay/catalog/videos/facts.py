"""What other services tell about videos: each fact is added to what is known.

Facts may come twice, late and in any order; `status` says why that does not matter. `at` is when
a fact happened. A video that was deleted, or was never ours, is passed over.
"""

from datetime import datetime
from uuid import UUID

from reelay.catalog.restrictions.deriving import refer
from reelay.catalog.videos import repository
from reelay.catalog.videos.recording import Recorder, Recording, settle
from reelay.catalog.videos.status import Extent, Package, Plan, Upload
from reelay.catalog.videos.tables import PackageRow, PlanRow, UploadRow, VideoRow
from reelay.common.events import (
    AssetUploaded,
    AssetUploadStarted,
    AssetUploadTerminated,
    ManifestUpdated,
    PackagePlanned,
    PackageRemoved,
    PackageRequested,
    TranscodeCompleted,
    TranscodeFailed,
)


class VideoFacts:
    """The use cases of facts."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    async def note_upload_started(self, fact: AssetUploadStarted, at: datetime) -> None:
        """A video's file is on its way."""
        if fact.video_id is None:
            return
        async with self._recorder.transaction() as transaction:
            for video in await repository.lock(transaction.session, fact.video_id):
                row = await _upload(transaction, video, fact.upload_id)
                row.take(row.give(Upload).on_started(at))
                await settle(transaction, video)

    async def note_upload_terminated(self, fact: AssetUploadTerminated, at: datetime) -> None:
        """A video's file will not come: it was withdrawn or, for a reason, refused."""
        if fact.video_id is None:
            return
        async with self._recorder.transaction() as transaction:
            for video in await repository.lock(transaction.session, fact.video_id):
                row = await _upload(transaction, video, fact.upload_id)
                row.take(row.give(Upload).on_terminated(fact.reason, at))
                await settle(transaction, video)

    async def request_package(self, fact: AssetUploaded, at: datetime) -> None:
        """A video's file is here: ask for its package, once per upload.

        The request is committed before anything else is looked at: a viewer waits for it.
        """
        if fact.video_id is None:
            return
        upload = Upload(fact.upload_id).on_uploaded(fact.asset_id, fact.source_key, at)
        async with self._recorder.transaction() as transaction:
            owner_id = await repository.note_whole(transaction.session, fact.video_id, upload)
            if owner_id is not None:
                await transaction.announce(
                    PackageRequested(
                        video_id=fact.video_id,
                        owner_id=owner_id,
                        asset_id=fact.asset_id,
                        source_key=fact.source_key,
                    )
                )
        async with self._recorder.transaction() as transaction:
            for video in await repository.lock(transaction.session, fact.video_id):
                await settle(transaction, video)

    async def note_package_planned(self, fact: PackagePlanned, at: datetime) -> None:
        """A video's manifests exist; its package may be further already."""
        async with self._recorder.transaction() as transaction:
            session = transaction.session
            package = await repository.hold(session, PackageRow, package_id=fact.package_id)
            package.take(package.give(Package).on_planned(fact.segments_total, at))
            await refer(session, fact.package_id, fact.video_id)
            transaction.touched.add(fact.video_id)
            for video in await repository.lock_users(session, fact.package_id, fact.video_id):
                if video.id == fact.video_id:
                    plan = await _plan(transaction, video, fact.asset_id)
                    plan.take(plan.give(Plan).on_planned(fact.package_id, at))
                await settle(transaction, video)

    async def note_progress(self, fact: ManifestUpdated, at: datetime) -> None:
        """Segments of a package are there."""
        async with self._recorder.transaction() as transaction:
            row = await _package(transaction, fact.package_id)
            row.take(row.give(Package).on_updated(*_extents(fact), playable=fact.playable))
            await _settle_users(transaction, fact.package_id)

    async def note_package_completed(self, fact: TranscodeCompleted, at: datetime) -> None:
        """All of a package is there."""
        async with self._recorder.transaction() as transaction:
            row = await _package(transaction, fact.package_id)
            row.take(row.give(Package).on_completed(fact.root_digest, fact.warnings))
            await _settle_users(transaction, fact.package_id)

    async def note_package_removed(self, fact: PackageRemoved, at: datetime) -> None:
        """A package is gone; unless it was planned again since, nothing is known of it any more."""
        async with self._recorder.transaction() as transaction:
            row = await _package(transaction, fact.package_id)
            if row.planned_at is None or row.planned_at < at:
                await transaction.session.delete(row)
                await transaction.session.flush()
                transaction.gone.add(fact.package_id)
                await _settle_users(transaction, fact.package_id)

    async def note_failure(self, fact: TranscodeFailed, at: datetime) -> None:
        """A package, or the plan of one for a video, failed."""
        async with self._recorder.transaction() as transaction:
            if fact.package_id is not None:
                row = await _package(transaction, fact.package_id)
                row.take(row.give(Package).on_failed(fact.reason, at))
                await _settle_users(transaction, fact.package_id)
            elif fact.video_id is not None:
                for video in await repository.lock(transaction.session, fact.video_id):
                    plan = await _plan(transaction, video, fact.asset_id)
                    plan.take(plan.give(Plan).on_failed(fact.reason, at))
                    await settle(transaction, video)


async def _upload(transaction: Recording, video: VideoRow, upload_id: UUID) -> UploadRow:
    return await repository.hold(
        transaction.session, UploadRow, video_id=video.id, upload_id=upload_id
    )


async def _plan(transaction: Recording, video: VideoRow, asset_id: str) -> PlanRow:
    return await repository.hold(transaction.session, PlanRow, video_id=video.id, asset_id=asset_id)


async def _package(transaction: Recording, package_id: str) -> PackageRow:
    return await repository.hold(transaction.session, PackageRow, package_id=package_id)


def _extents(fact: ManifestUpdated) -> tuple[int, int, dict[str, Extent]]:
    renditions = {r.rendition: Extent(stored=r.stored, total=r.total) for r in fact.renditions}
    return fact.segments_stored, fact.segments_total, renditions


async def _settle_users(transaction: Recording, package_id: str) -> None:
    for video in await repository.lock_users(transaction.session, package_id):
        await settle(transaction, video)
