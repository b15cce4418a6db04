"""The imports in PostgreSQL.

Which replica works at an import is a lease, which a killed one does not renew; the hold of the
upload alone decides who may change it.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from reelay.common.database import Database
from reelay.upload.adapters.tables import IMPORTS, UPLOADS
from reelay.upload.domain.imports import Import
from reelay.upload.domain.upload import Kind, State

NOW = sa.func.now()
COLUMNS = (
    UPLOADS.c.id,
    UPLOADS.c.origin_url,
    IMPORTS.c.validator,
    IMPORTS.c.tries,
    IMPORTS.c.trouble,
    IMPORTS.c.problem,
    IMPORTS.c.failure,
    sa.func.extract("epoch", NOW - IMPORTS.c.started_at).label("running_s"),
)
BOTH = sa.outerjoin(UPLOADS, IMPORTS, IMPORTS.c.upload_id == UPLOADS.c.id)


class PostgresImports:
    """Implements Imports."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, upload_id: UUID) -> Import | None:
        """See Imports."""
        query = sa.select(*COLUMNS).select_from(BOTH)
        query = query.where(UPLOADS.c.id == upload_id, UPLOADS.c.kind == Kind.IMPORTED)
        async with self._database.transaction() as session:
            row = (await session.execute(query)).first()
        return None if row is None else _import_of(row)

    async def claim(self, number: int, lease_s: float) -> Sequence[Import]:
        """See Imports."""
        free = IMPORTS.c.free_at.is_(None) | (IMPORTS.c.free_at <= NOW)
        query = sa.select(*COLUMNS).select_from(BOTH)
        query = query.where(
            UPLOADS.c.kind == Kind.IMPORTED, UPLOADS.c.state == State.RECEIVING, free
        )
        query = query.order_by(_under_way_of_owner(), UPLOADS.c.id).limit(number)
        async with self._database.transaction() as session:
            query = query.with_for_update(of=UPLOADS, skip_locked=True)
            rows = (await session.execute(query)).all()
            for row in rows:
                taken = insert(IMPORTS).values(upload_id=row.id, free_at=_after(lease_s))
                await session.execute(
                    taken.on_conflict_do_update(
                        index_elements=[IMPORTS.c.upload_id], set_={"free_at": _after(lease_s)}
                    )
                )
        return [_import_of(row) for row in rows]

    async def renew(self, upload_id: UUID, lease_s: float) -> None:
        """See Imports."""
        await self._change(upload_id, free_at=_after(lease_s))

    async def note_validator(self, upload_id: UUID, validator: str | None) -> None:
        """See Imports."""
        await self._change(upload_id, validator=validator)

    async def put_off(
        self,
        upload_id: UUID,
        pause_s: float,
        *,
        tries: int,
        trouble: str | None,
        problem: str | None,
    ) -> None:
        """See Imports."""
        await self._change(
            upload_id, free_at=_after(pause_s), tries=tries, trouble=trouble, problem=problem
        )

    async def note_failure(self, upload_id: UUID, failure: str) -> None:
        """See Imports."""
        await self._change(upload_id, failure=failure)

    async def _change(self, upload_id: UUID, **values: object) -> None:
        change = sa.update(IMPORTS).where(IMPORTS.c.upload_id == upload_id).values(**values)
        async with self._database.transaction() as session:
            await session.execute(change)


def _under_way_of_owner() -> sa.ScalarSelect[int]:
    """Return how many imports of the same owner are taken: who has many lets others go first."""
    other, job = UPLOADS.alias(), IMPORTS.alias()
    query = sa.select(sa.func.count()).where(
        job.c.upload_id == other.c.id,
        job.c.free_at > NOW,
        other.c.owner_id == UPLOADS.c.owner_id,
        other.c.kind == Kind.IMPORTED,
        other.c.state == State.RECEIVING,
    )
    return query.correlate(UPLOADS).scalar_subquery()


def _after(pause_s: float) -> sa.ColumnElement[Any]:
    return NOW + sa.func.make_interval(0, 0, 0, 0, 0, 0, pause_s)


def _import_of(row: Any) -> Import:
    return Import(
        upload_id=row.id,
        url=row.origin_url,
        validator=row.validator,
        tries=row.tries or 0,
        trouble=row.trouble,
        problem=row.problem,
        failure=row.failure,
        running_s=float(row.running_s or 0),
    )
