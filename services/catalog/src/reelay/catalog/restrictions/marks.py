"""Marks of restricted packages in the object store, for those who cannot ask the broker."""

import asyncio

import sqlalchemy as sa

from reelay.catalog.restrictions.tables import AccessRow
from reelay.common.content_access import Access, ContentAccessChanged, mark_key
from reelay.common.database import Database
from reelay.common.storage import ObjectStore

MARKS = {
    Access.OPEN: (),
    Access.TOKEN: (Access.TOKEN,),
    Access.CLOSED: (Access.TOKEN, Access.CLOSED),
}
"""Whoever looks for both while one state follows another finds one of them, as long as none of the
states is open: closing leaves the other mark where it is."""
AT_ONCE = 4
"""Each holds a connection of the database for as long as the store takes."""


class Marker:
    """Marks packages in the order of their changes, whichever replica does it."""

    def __init__(self, database: Database, store: ObjectStore) -> None:
        self._database = database
        self._store = store
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def mark(self, state: ContentAccessChanged) -> None:
        """Leave the mark of a state, unless there is a newer one, whose turn comes.

        The store cannot compare and set, so replicas take turns by a lock of the package.
        Raises StoreUnavailableError and DatabaseUnavailableError.
        """
        async with self._slots, self._database.transaction() as session:
            key = sa.func.hashtextextended(state.package_id, 0)
            await session.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))
            row = await session.get(AccessRow, state.package_id)
            if row is not None and row.revision == state.revision:
                await mark(self._store, state.package_id, state.access)


async def mark(store: ObjectStore, package_id: str, access: Access) -> None:
    """Leave the marks of `access` on a package and no others. Raises StoreUnavailableError."""
    for each in MARKS[access]:
        await store.put(mark_key(package_id, each), b"")
    for other in (Access.CLOSED, Access.TOKEN):
        if other not in MARKS[access]:
            await store.delete(mark_key(package_id, other))
