"""Final uploads and the partial ones that they join, in PostgreSQL."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import sqlalchemy as sa
from sqlmodel.ext.asyncio.session import AsyncSession

from reelay.common.errors import ForbiddenError
from reelay.upload.adapters.rows import new_row, upload_of
from reelay.upload.adapters.tables import UPLOADS
from reelay.upload.domain.errors import NotJoinableError
from reelay.upload.domain.limits import Limits
from reelay.upload.domain.upload import Kind, State, Upload


async def bind(
    session: AsyncSession, limits: Limits, upload: Upload, partial_ids: Sequence[UUID]
) -> tuple[Upload, bool]:
    """Note a final upload, or find the one that joined the same before; tell whether it is new.

    See Uploads.begin_final.
    """
    # In the order of their ids, so that two requests cannot wait for each other.
    query = sa.select(UPLOADS).where(UPLOADS.c.id.in_(partial_ids)).order_by(UPLOADS.c.id)
    rows = {row.id: row for row in (await session.execute(query.with_for_update())).all()}
    partials = [upload_of(rows[id_]) for id_ in partial_ids if id_ in rows]
    _check(upload.owner_id, partials, len(partial_ids))
    finals = {partial.final_id for partial in partials}
    if finals != {None}:
        return await _same(session, finals, partial_ids), False
    if any(partial.state is not State.STORED for partial in partials):
        raise NotJoinableError("One of these partial uploads is not whole yet, or has ended.")
    size_bytes = sum(partial.offset_bytes for partial in partials)
    limits.check_size(size_bytes)
    upload = replace(upload, size_bytes=size_bytes)
    done = await session.execute(new_row(upload).returning(UPLOADS.c.updated_at))
    for position, id_ in enumerate(partial_ids):
        change = sa.update(UPLOADS).where(UPLOADS.c.id == id_)
        await session.execute(change.values(final_id=upload.id, final_position=position))
    return replace(upload, updated_at=done.scalar_one()), True


async def bound(session: AsyncSession, final_id: UUID) -> list[Upload]:
    """Return the partial uploads of a final one, in order."""
    query = sa.select(UPLOADS).where(UPLOADS.c.final_id == final_id)
    rows = (await session.execute(query.order_by(UPLOADS.c.final_position))).all()
    return [upload_of(row) for row in rows]


async def end_bound(session: AsyncSession, upload: Upload, state: State) -> list[Upload]:
    """Let the partial uploads of a final one end with it; return them."""
    if upload.kind is not Kind.FINAL:
        return []
    change = sa.update(UPLOADS).where(
        UPLOADS.c.final_id == upload.id, UPLOADS.c.state == State.STORED
    )
    change = change.values(state=state, updated_at=sa.func.now()).returning(UPLOADS)
    return [upload_of(row) for row in (await session.execute(change)).all()]


def _check(owner_id: str, partials: list[Upload], number: int) -> None:
    if len(partials) != number or not all(partial.is_partial for partial in partials):
        raise NotJoinableError("One of these is no partial upload; it may have expired.")
    if any(partial.owner_id != owner_id for partial in partials):
        raise ForbiddenError("One of these uploads is somebody else's.")


async def _same(
    session: AsyncSession, finals: set[UUID | None], partial_ids: Sequence[UUID]
) -> Upload:
    """Return the one final upload that joins exactly these: its client did not hear the answer."""
    [final_id, *others] = finals
    if final_id is not None and not others:
        joined = [partial.id for partial in await bound(session, final_id)]
        if joined == list(partial_ids):
            query = sa.select(UPLOADS).where(UPLOADS.c.id == final_id)
            row = (await session.execute(query)).first()
            if row is not None:
                return upload_of(row)
    raise NotJoinableError("One of these partial uploads is part of another file already.")
