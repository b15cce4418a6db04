"""Appends to the log of changes and reads it in the order in which changes were committed."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from reelay.catalog.live.tables import ChangeRow
from reelay.common.database import Database

ORDER_LOCK = 0x6368616E6765  # 'change'
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


async def append(session: AsyncSession, video_id: UUID, kind: ChangeKind, body: str) -> int:
    """Log a change; return its revision.

    The lock is held until the commit, so that revisions become visible in their order and a
    reader who has seen one will see no smaller one later. Take row locks before, never after.
    """
    row = sa.insert(ChangeRow).values(video_id=video_id, kind=kind, body=body)
    with session.no_autoflush:  # the caller's row is written once, with its revision
        await session.execute(sa.select(sa.func.pg_advisory_xact_lock(ORDER_LOCK)))
        revision = await session.execute(row.returning(col(ChangeRow.revision)))
    return int(revision.scalar_one() or 0)


async def changes_after(database: Database, revision: int, limit: int) -> list[Change]:
    """Return the first `limit` changes after `revision`, oldest first."""
    async with database.transaction() as session:
        statement = (
            select(ChangeRow)
            .where(col(ChangeRow.revision) > revision)
            .order_by(col(ChangeRow.revision))
            .limit(limit)
        )
        rows = (await session.exec(statement)).all()
        return [Change(r.revision or 0, r.video_id, ChangeKind(r.kind), r.body) for r in rows]


async def prune(database: Database) -> None:
    """Forget changes that every replica has told long ago."""
    async with database.transaction() as session:
        old = col(ChangeRow.changed_at) < sa.func.now() - KEPT
        await session.execute(sa.delete(ChangeRow).where(old))
