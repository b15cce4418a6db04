"""What a user's uploads take, held against the limits in the transaction that takes more."""

import sqlalchemy as sa
from sqlmodel.ext.asyncio.session import AsyncSession

from reelay.upload.adapters.tables import DRAFTS, UPLOADS
from reelay.upload.domain.limits import Limits, Usage
from reelay.upload.domain.upload import Kind, State, Upload

OWNER_LOCKS = 0x7573  # 'us'; locks of two numbers never meet the holds, which have one

LIVING = UPLOADS.c.state.in_([State.RECEIVING, State.STORED, State.COMPLETE])
DELETED = sa.exists().where(DRAFTS.c.video_id == UPLOADS.c.video_id, DRAFTS.c.deleted)
STORED = sa.func.greatest(UPLOADS.c.offset_bytes, UPLOADS.c.reserved_bytes)
TAKEN = sa.func.coalesce(UPLOADS.c.size_bytes, STORED)
COUNTED_ELSEWHERE = (UPLOADS.c.kind == Kind.PARTIAL) & UPLOADS.c.final_id.is_not(None)


async def check_usage(
    session: AsyncSession, limits: Limits, owner_id: str, more_bytes: int, *, begins: bool
) -> None:
    """Raise QuotaExceededError or TooManyUploadsError when a user's uploads become too much.

    Users' transactions take turns, so that many at once do not exceed what one would. Bytes of a
    file that came twice count twice, so nobody learns what others have uploaded; those of deleted
    videos do not count.
    """
    if not limits.per_user:
        return
    lock = sa.func.pg_advisory_xact_lock(OWNER_LOCKS, sa.func.hashtext(owner_id))
    await session.execute(sa.select(lock))
    query = sa.select(
        sa.func.coalesce(sa.func.sum(TAKEN).filter(~COUNTED_ELSEWHERE), 0),
        sa.func.count().filter(UPLOADS.c.state == State.RECEIVING),
    ).where(UPLOADS.c.owner_id == owner_id, LIVING, ~DELETED)
    taken_bytes, unfinished = (await session.execute(query)).one()
    usage = Usage(int(taken_bytes), unfinished)
    if begins:
        limits.check_number(usage)
    limits.check_room(usage, more_bytes)


async def check_growth(
    session: AsyncSession, limits: Limits, upload: Upload, size_bytes: int
) -> None:
    """Raise QuotaExceededError when an upload of unknown length becomes too much with this size."""
    if not limits.per_user:
        return
    query = sa.select(STORED).where(UPLOADS.c.id == upload.id)
    counted: int = (await session.execute(query)).scalar_one_or_none() or 0
    if size_bytes > counted:
        more_bytes = size_bytes - counted
        await check_usage(session, limits, upload.owner_id, more_bytes, begins=False)
