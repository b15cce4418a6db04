"""Tells those who serve content what transactions decided, whatever the order of replicas.

What is told is the state of a package, read when its turn comes, so that only the last one of
several changes matters. A crash in between tells it again.
"""

import asyncio
from contextlib import suppress
from datetime import datetime
from uuid import UUID

import nats.errors
import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from reelay.catalog.restrictions import stream
from reelay.catalog.restrictions.marks import mark
from reelay.catalog.restrictions.tables import AccessRow
from reelay.common.content_access import Access, ContentAccessChanged
from reelay.common.database import Database
from reelay.common.errors import ReelayError
from reelay.common.messaging import Messaging
from reelay.common.storage import ObjectStore

POLL_S = 2.0
"""How soon what another replica left is found."""
LOOK_S = 30.0
"""How often the stream is looked at, whether it is still the one that was told all."""
RETRY_S = 0.5
BATCH = 100

OUTAGES = (SQLAlchemyError, nats.errors.Error, ReelayError, OSError)

log = structlog.get_logger()


class AccessPublisher:
    """Publishes for one process."""

    def __init__(self, database: Database, messaging: Messaging, store: ObjectStore) -> None:
        self._database = database
        self._messaging = messaging
        self._store = store
        self._wake = asyncio.Event()
        self._complete: datetime | None = None
        """When the stream was made that has all states."""
        self._looks_at = 0.0

    def wake(self) -> None:
        """Publish what was just committed."""
        self._wake.set()

    async def run(self) -> None:
        """Publish for ever."""
        while True:
            self._wake.clear()
            try:
                while await self._publish_pending():
                    pass
                await self._look()
            except OUTAGES as error:
                log.warning("restrictions of packages wait", error=repr(error)[:300])
                self._looks_at = 0.0
                await asyncio.sleep(RETRY_S)
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._wake.wait()

    async def _publish_pending(self) -> bool:
        """Publish what others were not told; return whether there may be more."""
        pending = col(AccessRow.published) < col(AccessRow.revision)
        oldest = select(AccessRow.package_id).where(pending).order_by(col(AccessRow.revision))
        async with self._database.autocommit() as session:
            packages = (await session.exec(oldest.limit(BATCH))).all()
        for package_id in packages:
            await self._publish(package_id)
        return len(packages) == BATCH

    async def _look(self) -> None:
        """Tell everything once more to a stream that is new: it was lost, or we have just begun."""
        now = asyncio.get_running_loop().time()
        if now < self._looks_at:
            return
        made = await stream.made_at(self._messaging)
        if made != self._complete:
            after = ""
            while packages := await self._known_after(after):
                for package_id in packages:
                    await self._publish(package_id)
                after = packages[-1]
            self._complete = made
        self._looks_at = now + LOOK_S

    async def _known_after(self, package_id: str) -> list[str]:
        known = select(AccessRow.package_id).where(AccessRow.package_id > package_id)
        async with self._database.autocommit() as session:
            return list((await session.exec(known.order_by("package_id").limit(BATCH))).all())

    async def _publish(self, package_id: str) -> None:
        """Tell the present state of one package; replicas take turns."""
        async with self._database.transaction() as session:
            key = sa.func.hashtextextended(package_id, 0)
            await session.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))
            row = await session.get(AccessRow, package_id)
            if row is None:
                return
            state = ContentAccessChanged(
                package_id=package_id,
                access=Access(row.access),
                video_ids=[UUID(video_id) for video_id in row.video_ids],
                revision=row.revision,
            )
            # Each at once and whatever becomes of the other: one of the two may be away.
            outcomes = await asyncio.gather(
                stream.tell(self._messaging, state),
                mark(self._store, package_id, state.access),
                return_exceptions=True,
            )
            for outcome in outcomes:
                if outcome is not None:
                    raise outcome
            await _note(session, state)


async def _note(session: AsyncSession, state: ContentAccessChanged) -> None:
    """Note what was told, unless there is something newer; an open package needs no row."""
    same = (
        col(AccessRow.package_id) == state.package_id,
        col(AccessRow.revision) == state.revision,
    )
    if state.access is Access.OPEN:
        await session.execute(sa.delete(AccessRow).where(*same))
    else:
        told = sa.update(AccessRow).where(*same, col(AccessRow.published) < state.revision)
        await session.execute(told.values(published=state.revision))
