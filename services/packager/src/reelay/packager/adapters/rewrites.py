"""Sources that wait to be rewritten: owners take turns by virtual time, counted in bytes.

A row is there until its package is planned or refused. Whoever takes it has it for LEASE at a time:
what a killed replica had is free again then. Every function works inside its caller's transaction.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from reelay.common.events import RewriteRequested
from reelay.packager.adapters import references
from reelay.packager.adapters.tables import RewriteRow, TurnRow

LEASE = timedelta(seconds=10)
OWNER, ROUND = "rewriting-owner", "rewriting-round"
"""Kinds of turns; the round is the virtual time of the owner who was served last."""

_now = sa.func.clock_timestamp()
_is_due = col(RewriteRow.due_at) <= _now
_turn = col(TurnRow.virtual_time)


@dataclass(frozen=True)
class Taken:
    """A source that this replica rewrites, as long as it keeps it."""

    request: RewriteRequested
    size_bytes: int
    attempt: int
    """1 for the first."""
    waits: timedelta
    """Since it was asked for."""
    token: UUID


async def add(session: AsyncSession, request: RewriteRequested, size_bytes: int) -> None:
    """Let a source wait for its turn, unless it does."""
    statement = insert(RewriteRow).values(
        **request.model_dump(),
        size_bytes=size_bytes,
        requested_at=_now,
        due_at=_now,
        attempts=0,
    )
    await session.execute(statement.on_conflict_do_nothing())


async def is_any_due(session: AsyncSession) -> bool:
    """Tell whether any source waits that may be taken now, as far as can be told at a glance."""
    statement = sa.select(col(RewriteRow.video_id)).where(_is_due).limit(1)
    return (await session.execute(statement)).first() is not None


async def take(session: AsyncSession, most_bytes: int | None = None) -> Taken | None:
    """Take the source whose turn it is, of those that are not larger; its owner pays for it.

    Of what several videos wait for, one at a time is taken: for the others it is there then.
    """
    if not await is_any_due(session):
        return None
    await references.hold(session, "rewrites")
    at = sa.func.greatest(sa.func.coalesce(_turn, 0.0), await _round(session))
    is_owners = sa.and_(col(TurnRow.kind) == OWNER, col(TurnRow.name) == col(RewriteRow.owner_id))
    next_row = (
        sa.select(RewriteRow, at, _now - col(RewriteRow.requested_at))
        .outerjoin(TurnRow, is_owners)
        .where(_is_due, ~_is_under_way())
        .order_by(at, col(RewriteRow.requested_at), col(RewriteRow.video_id))
        .limit(1)
        .with_for_update(of=RewriteRow, skip_locked=True)  # what is being deleted is passed over
    )
    if most_bytes is not None:
        next_row = next_row.where(col(RewriteRow.size_bytes) <= most_bytes)
    found = (await session.execute(next_row)).first()
    if found is None:
        return None
    row, time, waits = found
    row.taken_by, row.attempts = uuid4(), row.attempts + 1
    row.due_at = _now + LEASE
    await _set_time(session, ROUND, "", time)
    await _set_time(session, OWNER, row.owner_id, time + row.size_bytes)
    request = RewriteRequested.model_validate(row, from_attributes=True)
    return Taken(request, row.size_bytes, row.attempts, waits, row.taken_by)


async def keep(session: AsyncSession, taken: Taken) -> bool:
    """Have a source for another LEASE; False when somebody else has it, or nobody needs it."""
    statement = sa.update(RewriteRow).where(*_mine(taken)).values(due_at=_now + LEASE)
    done = await session.execute(statement.returning(col(RewriteRow.video_id)))
    return done.first() is not None


async def put_off(
    session: AsyncSession, taken: Taken, delay_s: float, *, counts: bool = True
) -> None:
    """Let a source wait for another turn; what does not count as an attempt is not paid for."""
    values: dict[str, Any] = {"taken_by": None, "due_at": _now + timedelta(seconds=delay_s)}
    if not counts:
        values["attempts"] = col(RewriteRow.attempts) - 1
    statement = sa.update(RewriteRow).where(*_mine(taken)).values(**values)
    done = await session.execute(statement.returning(col(RewriteRow.video_id)))
    if done.first() is not None and not counts:
        paid = (col(TurnRow.kind) == OWNER, col(TurnRow.name) == taken.request.owner_id)
        unpaid = sa.update(TurnRow).where(*paid).values(virtual_time=_turn - taken.size_bytes)
        await session.execute(unpaid)


async def drop(session: AsyncSession, taken: Taken) -> None:
    """Forget a source that was planned or refused, whoever has it now."""
    await session.execute(sa.delete(RewriteRow).where(*_same(taken)))


async def forget(session: AsyncSession, video_id: UUID) -> None:
    """Forget what a deleted video waits for; who rewrites it finds out when keeping it."""
    mine = col(RewriteRow.video_id) == video_id
    await session.execute(sa.delete(RewriteRow).where(mine))


def _is_under_way() -> sa.ColumnElement[bool]:
    other = aliased(RewriteRow)
    is_taken = sa.and_(col(other.taken_by).is_not(None), col(other.due_at) > _now)
    same = col(other.asset_id) == col(RewriteRow.asset_id)
    return sa.select(col(other.video_id)).where(same, is_taken).exists()


def _same(taken: Taken) -> tuple[sa.ColumnElement[bool], ...]:
    request = taken.request
    return (
        col(RewriteRow.video_id) == request.video_id,
        col(RewriteRow.source_key) == request.source_key,
    )


def _mine(taken: Taken) -> tuple[sa.ColumnElement[bool], ...]:
    return (*_same(taken), col(RewriteRow.taken_by) == taken.token)


async def _round(session: AsyncSession) -> float:
    statement = sa.select(_turn).where(col(TurnRow.kind) == ROUND)
    return float((await session.execute(statement)).scalar() or 0.0)


async def _set_time(session: AsyncSession, kind: str, name: str, time: float) -> None:
    statement = insert(TurnRow).values(kind=kind, name=name, virtual_time=time)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["kind", "name"], set_={"virtual_time": time}
        )
    )
