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

Row = TypeVar("Row", bound=FactTable)


async def find(session: AsyncSession, video_id: UUID) -> VideoRow | None:
    """Return a video that is not deleted; None when there is none."""
    statement = select(VideoRow).where(VideoRow.id == video_id, col(VideoRow.deleted_at).is_(None))
    return (await session.exec(statement)).one_or_none()


async def lock(session: AsyncSession, *video_ids: UUID) -> Sequence[VideoRow]:
    """Lock those of the videos that exist and are not deleted, in the order of their ids."""
    statement = (
        select(VideoRow)
        .where(col(VideoRow.id).in_(video_ids), col(VideoRow.deleted_at).is_(None))
        .order_by(col(VideoRow.id))
        .with_for_update()
    )
    return (await session.exec(statement)).all()


async def lock_users(session: AsyncSession, package_id: str, *others: UUID) -> Sequence[VideoRow]:
    """Lock the videos of which any request led to this package, and some others."""
    users = select(PlanRow.video_id).where(PlanRow.package_id == package_id)
    return await lock(session, *(await session.exec(users)).all(), *others)


async def page(session: AsyncSession, before: UUID | None, limit: int) -> Sequence[VideoRow]:
    """Return the newest `limit` videos (those before one of them): UUIDv7 sort by time."""
    statement = select(VideoRow).where(col(VideoRow.deleted_at).is_(None))
    if before is not None:
        statement = statement.where(VideoRow.id < before)
    return (await session.exec(statement.order_by(col(VideoRow.id).desc()).limit(limit))).all()


async def changed_after(session: AsyncSession, revision: int, limit: int) -> Sequence[VideoRow]:
    """Return videos, deleted ones too, whose last change came after `revision`."""
    statement = select(VideoRow).where(VideoRow.revision > revision)
    return (await session.exec(statement.order_by(col(VideoRow.revision)).limit(limit))).all()


async def newest_revision(session: AsyncSession) -> int:
    """Return the revision of the last change of any video; 0 when there was none."""
    newest = await session.execute(sa.select(sa.func.max(col(VideoRow.revision))))
    return int(newest.scalar_one() or 0)


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
    plans = (await session.exec(select(PlanRow).where(PlanRow.video_id == video_id))).all()
    ids = [plan.package_id for plan in plans if plan.package_id]
    packages: dict[str, Package] = {}
    if ids:
        found = select(PackageRow).where(col(PackageRow.package_id).in_(ids))
        packages = {row.package_id: row.give(Package) for row in await session.exec(found)}
    uploads = await uploads_of(session, video_id)
    return derive(uploads, [plan.give(Plan) for plan in plans], packages)
