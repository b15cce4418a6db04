"""What other services tell about videos: each fact is added to what is known.

Facts may come twice, late and in any order; `status` says why that does not matter. A video that
was deleted, or was never ours, is passed over.
"""

from dataclasses import dataclass
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


@dataclass(frozen=True)
class Told:
    """When a fact was told, by two clocks."""

    stored_at: datetime
    """The broker's, when it stored the fact: one clock for all senders."""
    stated_at: datetime
    """The sender's (CloudEvents 1.0, `time`); compared only where there is nothing better."""

    def decided_at(self, fact: PackagePlanned | TranscodeFailed | PackageRemoved) -> datetime:
        """Return when the packager decided; one of the version before said so by its own clock."""
        return fact.decided_at or self.stated_at


class VideoFacts:
    """The use cases of facts."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    async def note_upload_started(self, fact: AssetUploadStarted, told: Told) -> None:
        """A video's file is on its way."""
        if fact.video_id is None:
            return
        async with self._recorder.transaction() as transaction:
            for video in await repository.lock(transaction.session, fact.video_id):
                row = await _upload(transaction, video, fact.upload_id)
                row.take(row.give(Upload).on_started(told.stored_at))
                await settle(transaction, video)

    async def note_upload_terminated(self, fact: AssetUploadTerminated, told: Told) -> None:
        """A video's file will not come: it was withdrawn or, for a reason, refused."""
        if fact.video_id is None:
            return
        async with self._recorder.transaction() as transaction:
            for video in await repository.lock(transaction.session, fact.video_id):
                row = await _upload(transaction, video, fact.upload_id)
                row.take(row.give(Upload).on_terminated(fact.reason, told.stored_at))
                await settle(transaction, video)

    async def request_package(self, fact: AssetUploaded, told: Told) -> None:
        """A video's file is here: ask for its package, once per upload.

        The request is committed before anything else is looked at: a viewer waits for it.
        """
        if fact.video_id is None:
            return
        upload = Upload(fact.upload_id).on_uploaded(fact.asset_id, fact.source_key, told.stored_at)
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

    async def note_package_planned(self, fact: PackagePlanned, told: Told) -> None:
        """A video's manifests exist; its package may be further already."""
        at = told.decided_at(fact)
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

    async def note_progress(self, fact: ManifestUpdated, told: Told) -> None:
        """Segments of a package are there."""
        async with self._recorder.transaction() as transaction:
            row = await _package(transaction, fact.package_id)
            row.take(row.give(Package).on_updated(*_extents(fact), playable=fact.playable))
            await _settle_users(transaction, fact.package_id)

    async def note_package_completed(self, fact: TranscodeCompleted, told: Told) -> None:
        """All of a package is there."""
        async with self._recorder.transaction() as transaction:
            row = await _package(transaction, fact.package_id)
            row.take(row.give(Package).on_completed(fact.root_digest, fact.warnings))
            await _settle_users(transaction, fact.package_id)

    async def note_package_removed(self, fact: PackageRemoved, told: Told) -> None:
        """A package is gone; unless it was planned again since, nothing is known of it any more."""
        async with self._recorder.transaction() as transaction:
            row = await _package(transaction, fact.package_id)
            if row.planned_at is None or row.planned_at < told.decided_at(fact):
                await transaction.session.delete(row)
                await transaction.session.flush()
                transaction.gone.add(fact.package_id)
                await _settle_users(transaction, fact.package_id)

    async def note_failure(self, fact: TranscodeFailed, told: Told) -> None:
        """A package, or the plan of one for a video, failed."""
        at = told.decided_at(fact)
        async with self._recorder.transaction() as transaction:
            if fact.package_id is not None:
                row = await _package(transaction, fact.package_id)
                row.take(row.give(Package).on_failed(fact.reason, at, told.stored_at))
                await _settle_users(transaction, fact.package_id)
            elif fact.video_id is not None:
                for video in await repository.lock(transaction.session, fact.video_id):
                    plan = await _plan(transaction, video, fact.asset_id)
                    plan.take(plan.give(Plan).on_failed(fact.reason, at, told.stored_at))
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
