"""Derives who may fetch a package from the videos that refer to it.

A package is open while any of them may be seen by others, so that nobody's private copy takes a
film from those who watch it elsewhere. It needs a token while all are private, and is closed when
all are deleted. What a video once referred to follows it too.
"""

from collections.abc import Collection, Iterable
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from reelay.catalog.live import log
from reelay.catalog.restrictions.tables import AccessRow, ReferenceRow
from reelay.catalog.videos.tables import VideoRow
from reelay.catalog.videos.visibility import Visibility
from reelay.common.content_access import Access

MAX_VIDEOS = 5000
"""Most videos whose tokens are good for one package, the newest ones: as many as one message of
the broker holds."""

REVISIONS = sa.Sequence("package_access_revisions")


def derive(users: Iterable[tuple[UUID, str]]) -> tuple[Access, list[str]]:
    """Return who may fetch a package that these videos (id, visibility) refer to, by whose tokens.

    Deleted videos are none of them.
    """
    private = []
    for video_id, visibility in users:
        if visibility != Visibility.PRIVATE:
            return Access.OPEN, []
        private.append(str(video_id))
    if not private:
        return Access.CLOSED, []
    return Access.TOKEN, sorted(private)[-MAX_VIDEOS:]


async def refer(session: AsyncSession, package_id: str, video_id: UUID) -> None:
    """Note that a video refers to a package, even one that is deleted; unknown ones are not."""
    video = sa.select(sa.literal(package_id), col(VideoRow.id)).where(col(VideoRow.id) == video_id)
    row = insert(ReferenceRow).from_select(["package_id", "video_id"], video)
    await session.execute(row.on_conflict_do_nothing())


async def settle(session: AsyncSession, touched: Collection[UUID], gone: Collection[str]) -> bool:
    """Derive anew who may fetch the packages of some videos, and forget packages that are gone.

    Call it last in a transaction: it waits for the lock of the log of changes, so that those who
    change two videos of one package take turns. Returns whether anything changed.
    """
    await session.flush()
    await log.lock(session)
    theirs = select(ReferenceRow.package_id).where(col(ReferenceRow.video_id).in_(touched))
    packages = set((await session.exec(theirs)).all()) - set(gone)
    changed = False
    for package_id in sorted(packages):
        users = (
            select(VideoRow.id, VideoRow.visibility)
            .join(ReferenceRow, col(ReferenceRow.video_id) == col(VideoRow.id))
            .where(ReferenceRow.package_id == package_id, col(VideoRow.deleted_at).is_(None))
        )
        access, video_ids = derive((await session.exec(users)).all())
        changed |= await _record(session, package_id, access, video_ids)
    for package_id in sorted(gone):
        old = col(ReferenceRow.package_id) == package_id
        await session.execute(sa.delete(ReferenceRow).where(old))
        changed |= await _record(session, package_id, Access.OPEN, [])
    return changed


async def _record(
    session: AsyncSession, package_id: str, access: Access, video_ids: list[str]
) -> bool:
    row = await session.get(AccessRow, package_id)
    known = (Access.OPEN, []) if row is None else (Access(row.access), row.video_ids)
    if known == (access, video_ids):
        return False
    news = {"access": access.value, "video_ids": video_ids, "revision": REVISIONS.next_value()}
    statement = insert(AccessRow).values(package_id=package_id, published=0, **news)
    await session.execute(statement.on_conflict_do_update(index_elements=["package_id"], set_=news))
    return True
