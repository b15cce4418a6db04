"""Publishes what transactions announced, in the order of their commits here.

What was committed a moment ago is published from memory; its rows are removed later, when nothing
waits. Whatever else lies in the table, left by a crash, another replica or a broker's absence, is
found by looking there now and then, and published in the order of the rows. Replicas may overtake
each other, and a row may be published twice, under one `Nats-Msg-Id`.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError

from reelay.common import metrics
from reelay.common.cloudevents import Envelope
from reelay.common.database import Database
from reelay.common.errors import OutageError
from reelay.common.messaging import Messaging
from reelay.common.messaging_tables import OUTBOX

RELAY_LOCK = 0x6F7574626F78  # 'outbox'
BATCH = 200
POLL_S = 5.0
TIDY_S = 0.25
"""Published rows are removed after so long a silence."""
LAST_TIDY_S = 1.0
"""How long the end of the process may take for it."""
RETRY_S = 0.5
TURNS = 3
"""Of the event loop, until the relay woke, published, and the connection wrote it."""

log = structlog.get_logger()


@dataclass(frozen=True)
class Announcement:
    """A committed row of the outbox."""

    id: int
    envelope: Envelope


class Relay:
    """Publishes for one process."""

    def __init__(self, database: Database, messaging: Messaging) -> None:
        self._database = database
        self._messaging = messaging
        self._wake = asyncio.Event()
        self._fresh: list[Announcement] = []
        self._published: set[int] = set()
        """Rows that are still to be removed."""
        self._behind = True
        """Whether the table has rows that are not in `_fresh`; then the table alone counts."""
        self._looks_at = 0.0
        """When the table is looked at next (time of the event loop)."""

    async def hand_over(self, committed: Sequence[Announcement]) -> None:
        """Publish now what a transaction has just committed; return when it is on its way.

        Without giving way, what the caller does next may keep the event loop for milliseconds.
        """
        if not committed:
            return
        if not self._behind:
            self._fresh += committed
        self._wake.set()
        for _ in range(TURNS):
            await asyncio.sleep(0)

    async def run(self) -> None:
        """Relay for ever; at the end, remove what was published."""
        try:
            while True:
                self._wake.clear()
                try:
                    await self._relay()
                    await self._rest()
                except (SQLAlchemyError, OutageError, OSError) as error:
                    log.warning("outbox waits", error=repr(error)[:300])
                    self._behind = True
                    self._fresh.clear()
                    await asyncio.sleep(RETRY_S)
        finally:
            with suppress(SQLAlchemyError, OutageError, OSError, TimeoutError):
                async with asyncio.timeout(LAST_TIDY_S):
                    await self._tidy()

    async def _relay(self) -> None:
        while self._fresh and not self._behind:
            batch, self._fresh = self._fresh[:BATCH], self._fresh[BATCH:]
            await self._publish(batch)
        if self._behind or _now() >= self._looks_at:
            await self._tidy()
            # Before looking, so that what is committed meanwhile is seen here or handed over.
            self._behind = False
            while await self._relay_table():
                pass
            self._looks_at = _now() + POLL_S

    async def _rest(self) -> None:
        """Wait for something to do; remove rows when nothing comes."""
        if self._published and not await self._woken(TIDY_S):
            await self._tidy()
        await self._woken(self._looks_at - _now())

    async def _woken(self, timeout_s: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._wake.wait()
        return self._wake.is_set()

    async def _publish(self, batch: Sequence[Announcement]) -> None:
        """Publish in order without waiting in between; raise the first error at the end."""
        sent = [self._messaging.publish_envelope(each.envelope) for each in batch]
        outcomes = await asyncio.gather(*sent, return_exceptions=True)
        errors = [outcome for outcome in outcomes if outcome is not None]
        pairs = zip(batch, outcomes, strict=True)
        self._published.update(each.id for each, outcome in pairs if outcome is None)
        metrics.OUTBOX_PUBLISHED.inc(len(batch) - len(errors))
        if errors:
            raise errors[0]

    async def _tidy(self) -> None:
        """Remove published rows."""
        if self._published:
            done = list(self._published)
            async with self._database.autocommit() as session:
                await session.execute(sa.delete(OUTBOX).where(OUTBOX.c.id.in_(done)))
            self._published.difference_update(done)

    async def _relay_table(self) -> bool:
        """Publish the oldest rows, unless another replica does; return whether there may be more.

        Most times there is nothing, which a single statement finds out.
        """
        oldest = sa.select(OUTBOX).order_by(OUTBOX.c.id).limit(BATCH)
        async with self._database.autocommit() as session:
            if (await session.execute(sa.select(OUTBOX.c.id).limit(1))).first() is None:
                return False
        async with self._database.transaction() as session:
            lock = sa.select(sa.func.pg_try_advisory_xact_lock(RELAY_LOCK))
            if not (await session.execute(lock)).scalar_one():
                return False
            rows = [_announcement(row) for row in await session.execute(oldest)]
            await self._publish(rows)
        relayed = {row.id for row in rows}
        self._fresh = [fresh for fresh in self._fresh if fresh.id not in relayed]
        await self._tidy()
        return len(rows) == BATCH


def _now() -> float:
    return asyncio.get_running_loop().time()


def _announcement(row: Any) -> Announcement:
    return Announcement(row.id, Envelope(row.subject, dict(row.headers), bytes(row.body)))
