"""Finds and locks rows of videos and of the facts about them.

Locks are taken in one order (packages, then videos by id, then the log of changes), so that
handlers of different facts never wait for each other in a circle.
"""

from collections.abc import Sequence
from typing import Any, TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from reelay.catalog.videos.status import Package, Plan, Status, Upload, derive
from reelay.catalog.videos.tables import FactTable, PackageRow, PlanRow, UploadRow, VideoRow
from reelay.catalog.videos.visibility import Visibility
from reelay.common.tokens import Identity

Row = TypeVar("Row", bound=FactTable)


async def find(session: AsyncSession, video_id: UUID) -> VideoRow | None:
    """Return a video that is not deleted; None when there is none."""
    statement = select(VideoRow).where(VideoRow.id == video_id, col(VideoRow.deleted_at).is_(None))
    return (await session.exec(statement)).one_or_none()


async def lock(session: AsyncSession, video_id: UUID) -> Sequence[VideoRow]:
    """Lock a video; nothing when it does not exist or is deleted."""
    return await _lock(session, col(VideoRow.id) == video_id)


async def lock_users(
    session: AsyncSession, package_id: str, also: UUID | None = None
) -> Sequence[VideoRow]:
    """Lock the videos of which any request led to this package, and one other."""
    users = sa.select(col(PlanRow.video_id)).where(col(PlanRow.package_id) == package_id)
    chosen = col(VideoRow.id).in_(users)
    return await _lock(session, chosen if also is None else chosen | (col(VideoRow.id) == also))


async def _lock(session: AsyncSession, chosen: sa.ColumnElement[bool]) -> Sequence[VideoRow]:
    statement = select(VideoRow).where(chosen, col(VideoRow.deleted_at).is_(None))
    return (await session.exec(statement.order_by(col(VideoRow.id)).with_for_update())).all()


async def page(
    session: AsyncSession, viewer: Identity | None, before: UUID | None, limit: int
) -> Sequence[VideoRow]:
    """Return the newest `limit` videos (those before one of them): UUIDv7 sort by time.

    Those that are not public are there for their owners and administrators alone.
    """
    statement = select(VideoRow).where(col(VideoRow.deleted_at).is_(None))
    if viewer is None or "admin" not in viewer.scopes:
        listed = col(VideoRow.visibility) == Visibility.PUBLIC.value
        own = listed if viewer is None else col(VideoRow.owner_id) == viewer.subject
        statement = statement.where(listed | own)
    if before is not None:
        statement = statement.where(VideoRow.id < before)
    return (await session.exec(statement.order_by(col(VideoRow.id).desc()).limit(limit))).all()


async def changed_after(session: AsyncSession, revision: int, limit: int) -> Sequence[VideoRow]:
    """Return videos, deleted ones too, whose last change came after `revision`."""
    statement = select(VideoRow).where(VideoRow.revision > revision)
    return (await session.exec(statement.order_by(col(VideoRow.revision)).limit(limit))).all()


async def note_whole(session: AsyncSession, video_id: UUID, upload: Upload) -> str | None:
    """Note, in one statement, that a video's file is here; return the video's owner.

    None when that was known before, or there is no such video.
    """
    locked = sa.select(col(VideoRow.id), col(VideoRow.owner_id))
    locked = locked.where(col(VideoRow.id) == video_id, col(VideoRow.deleted_at).is_(None))
    video = locked.with_for_update().cte("video")
    news = {
        "asset_id": upload.asset_id,
        "source_key": upload.source_key,
        "uploaded_at": upload.uploaded_at,
    }
    new = [sa.literal(value).label(name) for name, value in news.items()]
    row = insert(UploadRow).from_select(
        ["video_id", "upload_id", *news],
        sa.select(video.c.id, sa.literal(upload.upload_id).label("upload_id"), *new),
    )
    row = row.on_conflict_do_update(
        index_elements=["video_id", "upload_id"],
        set_=news,
        where=col(UploadRow.uploaded_at).is_(None),
    )
    owner = sa.select(video.c.owner_id).scalar_subquery()
    return (await session.execute(row.returning(owner))).scalar_one_or_none()


async def hold(session: AsyncSession, table: type[Row], **key: Any) -> Row:
    """Return the row with this primary key, locked; made when absent."""
    row = insert(table).values(**key)
    # An update that changes nothing, because only a touched row is locked and returned.
    row = row.on_conflict_do_update(index_elements=list(key), set_=key)
    statement = select(table).from_statement(row.returning(table))
    return (await session.exec(statement)).scalar_one()  # type: ignore[call-overload, no-any-return]


async def uploads_of(session: AsyncSession, video_id: UUID) -> list[Upload]:
    """Return all uploads to a video."""
    rows = await session.exec(select(UploadRow).where(UploadRow.video_id == video_id))
    return [row.give(Upload) for row in rows]


async def status_of(session: AsyncSession, video_id: UUID) -> Status:
    """Derive the status of a video from all that is known."""
    same_package = col(PackageRow.package_id) == col(PlanRow.package_id)
    found = select(PlanRow, PackageRow).outerjoin(PackageRow, same_package)
    rows = (await session.exec(found.where(PlanRow.video_id == video_id))).all()
    packages = {row.package_id: row.give(Package) for _, row in rows if row is not None}
    uploads = await uploads_of(session, video_id)
    return derive(uploads, [plan.give(Plan) for plan, _ in rows], packages)
