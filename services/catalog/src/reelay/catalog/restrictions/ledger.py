"""Which states of packages are still to be told, and in which way."""

import asyncio
from collections.abc import AsyncIterator
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from reelay.catalog.restrictions.tables import AccessRow
from reelay.common.content_access import Access, ContentAccessChanged
from reelay.common.database import Database

NOTES_AT_ONCE = 2


class Way(StrEnum):
    """How a state is told; either may be away, and the other must not wait for it."""

    STREAM = "stream"
    STORE = "store"


class Ledger:
    """What this process told in each way; what both ways know is noted for all replicas.

    Methods raise DatabaseUnavailableError.
    """

    def __init__(self, database: Database, batch: int) -> None:
        """States are read `batch` at a time."""
        self._database = database
        self._batch = batch
        self._slots = asyncio.Semaphore(NOTES_AT_ONCE)
        self._told: dict[Way, dict[str, int]] = {way: {} for way in Way}
        """Package → revision, of those that the other way may not know yet."""

    async def pending(self, way: Way) -> AsyncIterator[list[ContentAccessChanged]]:
        """Yield all states that others were not told, the oldest first; also those that fail."""
        after, seen = 0, set[str]()
        unpublished = col(AccessRow.published) < col(AccessRow.revision)
        while True:
            later = (unpublished, col(AccessRow.revision) > after)
            rows = select(AccessRow).where(*later).order_by(col(AccessRow.revision))
            if states := await self._read(rows):
                yield states
                seen.update(state.package_id for state in states)
                after = states[-1].revision
            if len(states) < self._batch:
                break
        # Other replicas noted the rest.
        self._told[way] = {p: r for p, r in self._told[way].items() if p in seen}

    async def everything(self) -> AsyncIterator[list[ContentAccessChanged]]:
        """Yield the states of all packages that are not open, or were not until just now."""
        after = ""
        while True:
            rows = select(AccessRow).where(AccessRow.package_id > after).order_by("package_id")
            if states := await self._read(rows):
                yield states
                after = states[-1].package_id
            if len(states) < self._batch:
                break

    def has_told(self, way: Way, state: ContentAccessChanged) -> bool:
        """Tell whether this process told a state in this way."""
        return self._told[way].get(state.package_id) == state.revision

    async def note(self, way: Way, state: ContentAccessChanged) -> None:
        """Note that a state was told in this way; when it was in both, for all replicas."""
        self._told[way][state.package_id] = state.revision
        if not all(self.has_told(each, state) for each in Way):
            return
        async with self._slots, self._database.autocommit() as session:
            await session.execute(_published(state))
        for told in self._told.values():
            if told.get(state.package_id) == state.revision:
                del told[state.package_id]

    async def _read(self, rows: SelectOfScalar[AccessRow]) -> list[ContentAccessChanged]:
        async with self._database.autocommit() as session:
            return [_state(row) for row in await session.exec(rows.limit(self._batch))]


def _state(row: AccessRow) -> ContentAccessChanged:
    return ContentAccessChanged(
        package_id=row.package_id,
        access=Access(row.access),
        video_ids=[UUID(video_id) for video_id in row.video_ids],
        revision=row.revision,
    )


def _published(state: ContentAccessChanged) -> sa.Delete | sa.Update:
    """Return what notes a state, unless there is something newer; an open one needs no row."""
    same = (
        col(AccessRow.package_id) == state.package_id,
        col(AccessRow.revision) == state.revision,
    )
    if state.access is Access.OPEN:
        return sa.delete(AccessRow).where(*same)
    told = sa.update(AccessRow).where(*same, col(AccessRow.published) < state.revision)
    return told.values(published=state.revision)
