"""What people do with videos: draft, look up, edit, delete."""

from datetime import UTC, datetime
from uuid import UUID

from reelay.catalog.live.log import Change
from reelay.catalog.videos import repository
from reelay.catalog.videos.documents import VideoDocument, VideoDraft, VideoEdit, VideoPage
from reelay.catalog.videos.playback import Playbacks
from reelay.catalog.videos.recording import (
    Recorder,
    announce_update,
    change_of,
    log_change,
)
from reelay.catalog.videos.tables import VideoRow
from reelay.catalog.videos.visibility import Visibility, is_own, may_see
from reelay.common.database import Database
from reelay.common.errors import ForbiddenError, NotFoundError
from reelay.common.events import VideoDeleted, VideoDrafted
from reelay.common.identity import new_id
from reelay.common.outbox import Transaction
from reelay.common.tokens import Identity


class VideoMissingError(NotFoundError):
    """There is no video with this id."""


class NotOwnerError(ForbiddenError):
    """Only its owner or an administrator may change this video."""


class Videos:
    """The use cases of people."""

    def __init__(self, database: Database, recorder: Recorder, playbacks: Playbacks) -> None:
        self._database = database
        self._recorder = recorder
        self._playbacks = playbacks

    async def draft(self, caller: Identity, draft: VideoDraft) -> VideoDocument:
        """Announce a video of `caller`, before its file."""
        now = datetime.now(UTC)
        row = VideoRow(
            id=new_id(),
            owner_id=caller.subject,
            title=draft.title,
            description=draft.description,
            visibility=draft.visibility,
            created_at=now,
            updated_at=now,
        )
        async with self._recorder.transaction() as transaction:
            await log_change(transaction, row)
            transaction.session.add(row)
            await transaction.announce(
                VideoDrafted(
                    video_id=row.id,
                    owner_id=row.owner_id,
                    title=row.title,
                    visibility=row.visibility,
                )
            )
        return self._show(row)

    async def get(self, viewer: Identity | None, video_id: UUID) -> VideoDocument:
        """Return a video; raises VideoMissingError, also when it is not for this viewer."""
        return self._show(await self._find(viewer, video_id))

    async def page(self, viewer: Identity | None, before: UUID | None, limit: int) -> VideoPage:
        """Return the newest videos that a viewer finds, or those before one of them."""
        async with self._database.autocommit() as session:
            rows = await repository.page(session, viewer, before, limit + 1)
        more = str(rows[limit - 1].id) if len(rows) > limit else None
        videos = [self._show(row) for row in rows[:limit]]
        return VideoPage(videos=videos, next_cursor=more)

    async def edit(self, caller: Identity, video_id: UUID, edit: VideoEdit) -> VideoDocument:
        """Change what was sent; raises VideoMissingError, NotOwnerError."""
        async with self._recorder.transaction() as transaction:
            row = await _lock_own(transaction, caller, video_id)
            before = (row.title, row.description, row.visibility)
            row.sqlmodel_update(edit.changes())
            if before != (row.title, row.description, row.visibility):
                row.updated_at = datetime.now(UTC)
                was_public = before[2] == Visibility.PUBLIC != row.visibility
                await log_change(transaction, row, withdrawn=was_public)
                if before[2] != row.visibility:
                    transaction.touched.add(video_id)
                await announce_update(transaction, row)
        return self._show(row)

    async def delete(self, caller: Identity, video_id: UUID) -> None:
        """Remove a video for good; raises VideoMissingError, NotOwnerError.

        What remains is a tombstone without text, at which later facts end.
        """
        async with self._recorder.transaction() as transaction:
            row = await _lock_own(transaction, caller, video_id)
            row.deleted_at = datetime.now(UTC)
            row.title = row.description = ""
            row.reason = None
            await log_change(transaction, row)
            transaction.touched.add(video_id)
            await transaction.announce(
                VideoDeleted(
                    video_id=video_id,
                    owner_id=row.owner_id,
                    asset_id=row.asset_id,
                    package_id=row.package_id,
                )
            )

    async def present(self, viewer: Identity | None, video_id: UUID) -> Change:
        """Return how a video looks now, as a change; raises VideoMissingError."""
        return change_of(await self._find(viewer, video_id))

    async def changes_after(self, revision: int, since: int, limit: int) -> list[Change]:
        """Return how the videos that changed after `revision` look now, oldest change first.

        Withdrawn are those that ceased to be public after the revision `since`.
        """
        async with self._database.autocommit() as session:
            rows = await repository.changed_after(session, revision, limit)
        return [change_of(row, withdrawn=row.withdrawn_revision > since) for row in rows]

    def body_of(self, change: Change) -> str:
        """Return what a listener who may see a change receives of it."""
        return self._playbacks.completed_body(change)

    def _show(self, row: VideoRow) -> VideoDocument:
        return self._playbacks.complete(VideoDocument.of(row))

    async def _find(self, viewer: Identity | None, video_id: UUID) -> VideoRow:
        async with self._database.autocommit() as session:
            row = await repository.find(session, video_id)
        if row is None or not may_see(viewer, row.owner_id, row.visibility, by_id=True):
            raise VideoMissingError
        return row


async def _lock_own(transaction: Transaction, caller: Identity, video_id: UUID) -> VideoRow:
    rows = await repository.lock(transaction.session, video_id)
    if not rows:
        raise VideoMissingError
    row = rows[0]
    if is_own(caller, row.owner_id):
        return row
    if may_see(caller, row.owner_id, row.visibility, by_id=True):
        raise NotOwnerError
    raise VideoMissingError
