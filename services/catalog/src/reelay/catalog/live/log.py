"""Appends to the log of changes and reads it in the order in which changes were committed."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from reelay.catalog.live.tables import ChangeRow, NewestRevisionRow
from reelay.common.database import Database

KEPT = timedelta(minutes=10)
"""Longer than a replica may be cut off from the database without being restarted."""


class ChangeKind(StrEnum):
    """What happened; the name of the event that clients receive."""

    VIDEO = "video"
    DELETED = "deleted"


@dataclass(frozen=True)
class Change:
    """One change of one video."""

    revision: int
    video_id: UUID
    kind: ChangeKind
    body: str
    """JSON, as clients receive it."""


async def append(session: AsyncSession, video_id: UUID, kind: ChangeKind, body: str) -> Change:
    """Log a change and return it, with its revision: one more than that of the change before.

    The counter's row is locked until the commit, so that revisions become visible in their order,
    without gaps. Take other row locks before, never after.
    """
    newest = col(NewestRevisionRow.revision)
    counted = sa.update(NewestRevisionRow).values(revision=newest + 1).returning(newest).cte("next")
    values = sa.select(
        counted.c.revision,
        sa.literal(video_id).label("video_id"),
        sa.literal(str(kind)).label("kind"),
        sa.literal(body).label("body"),
    )
    row = sa.insert(ChangeRow).from_select(["revision", "video_id", "kind", "body"], values)
    with session.no_autoflush:  # the caller's row is written once, with its revision
        revision = await session.execute(row.returning(col(ChangeRow.revision)))
    return Change(revision.scalar_one(), video_id, kind, body)


async def newest_revision(database: Database) -> int:
    """Return the revision of the last change of any video; 0 when there was none."""
    async with database.autocommit() as session:
        return int((await session.execute(sa.select(col(NewestRevisionRow.revision)))).scalar_one())


async def changes_after(database: Database, revision: int, limit: int) -> list[Change]:
    """Return the first `limit` changes after `revision`, oldest first."""
    newer = col(ChangeRow.revision)
    later = select(ChangeRow).where(newer > revision).order_by(newer).limit(limit)
    async with database.autocommit() as session:
        rows = (await session.exec(later)).all()
    return [Change(row.revision, row.video_id, ChangeKind(row.kind), row.body) for row in rows]


async def prune(database: Database) -> None:
    """Forget changes that every replica has told long ago."""
    async with database.transaction() as session:
        old = col(ChangeRow.changed_at) < sa.func.now() - KEPT
        await session.execute(sa.delete(ChangeRow).where(old))
