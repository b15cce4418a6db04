"""Appends to the log of changes and reads it in the order in which changes were committed."""

import json
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Self
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from reelay.catalog.live.tables import ChangeRow, NewestRevisionRow
from reelay.catalog.videos.visibility import Visibility, may_see
from reelay.common.database import Database
from reelay.common.tokens import Identity

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
    """JSON, as clients receive it, but for what is made for each of them."""
    owner_id: str = ""
    visibility: str = Visibility.PUBLIC
    """Who may be told, besides the owner."""
    withdrawn: bool = False
    """Whether it was public before: those who may no longer see it are told that it is gone."""

    def seen_by(self, viewer: Identity | None, *, by_id: bool) -> Self | None:
        """Return the change as a viewer may see it; None when it is nothing to them."""
        if may_see(viewer, self.owner_id, self.visibility, by_id=by_id):
            return self
        if not (self.withdrawn or by_id):
            return None
        return replace(self, kind=ChangeKind.DELETED, body=deleted_body(self.video_id))


def deleted_body(video_id: UUID) -> str:
    """Return what listeners are told of a video that is gone."""
    return json.dumps({"id": str(video_id)})


async def append(session: AsyncSession, change: Change) -> Change:
    """Log a change and return it, with its revision: one more than that of the change before.

    The counter's row is locked until the commit, so that revisions become visible in their order,
    without gaps. Take other locks of videos and packages before, never after.
    """
    newest = col(NewestRevisionRow.revision)
    counted = sa.update(NewestRevisionRow).values(revision=newest + 1).returning(newest).cte("next")
    told = {
        "video_id": change.video_id,
        "kind": str(change.kind),
        "body": change.body,
        "owner_id": change.owner_id,
        "visibility": str(change.visibility),
        "withdrawn": change.withdrawn,
    }
    values = sa.select(
        counted.c.revision,
        *(sa.literal(value).label(name) for name, value in told.items()),
    )
    row = sa.insert(ChangeRow).from_select(["revision", *told], values)
    with session.no_autoflush:  # the caller's row is written once, with its revision
        revision = await session.execute(row.returning(col(ChangeRow.revision)))
    return replace(change, revision=revision.scalar_one())


async def lock(session: AsyncSession) -> None:
    """Wait for all changes that were begun before, as `append` does, without one."""
    newest = sa.select(col(NewestRevisionRow.revision)).with_for_update()
    with session.no_autoflush:
        await session.execute(newest)


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
    return [_change(row) for row in rows]


def _change(row: ChangeRow) -> Change:
    return Change(
        row.revision,
        row.video_id,
        ChangeKind(row.kind),
        row.body,
        owner_id=row.owner_id,
        visibility=row.visibility,
        withdrawn=row.withdrawn,
    )


async def prune(database: Database) -> None:
    """Forget changes that every replica has told long ago."""
    async with database.transaction() as session:
        old = col(ChangeRow.changed_at) < sa.func.now() - KEPT
        await session.execute(sa.delete(ChangeRow).where(old))
