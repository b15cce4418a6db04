"""The transactional outbox: a change and its announcement are committed together or not at all.

The relay publishes in the order of the rows and removes a row when JetStream has acknowledged it.
A crash in between publishes again under the same `Nats-Msg-Id`, and handlers are idempotent.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
import structlog
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel.ext.asyncio.session import AsyncSession

from reelay.common import metrics
from reelay.common.cloudevents import Envelope, wrap
from reelay.common.database import Database
from reelay.common.message import Message
from reelay.common.messaging import BrokerUnavailableError, Messaging

RELAY_LOCK = 0x6F7574626F78  # 'outbox'
BATCH = 200
POLL_S = 2.0

OUTBOX = sa.Table(
    "outbox",
    sa.MetaData(),
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("headers", JSONB, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)
INBOX = sa.Table(
    "inbox",
    sa.MetaData(),
    sa.Column("consumer", sa.Text, primary_key=True),
    sa.Column("message_id", sa.Text, primary_key=True),
    sa.Column("handled_at", sa.DateTime(timezone=True), server_default=sa.func.now()),
)

log = structlog.get_logger()


def create_messaging_tables() -> None:
    """Create the tables of this module; called by the first migration of a service."""
    for table in (OUTBOX, INBOX):
        table.create(op.get_bind())


async def is_new(session: AsyncSession, consumer: str, message_id: str) -> bool:
    """Note that `consumer` handles a message; False when it has done so before.

    For handlers whose effect has no unique key of its own.
    """
    statement = insert(INBOX).values(consumer=consumer, message_id=message_id)
    done = await session.execute(statement.on_conflict_do_nothing().returning(INBOX.c.consumer))
    return done.first() is not None


@dataclass(frozen=True)
class Transaction:
    """A database session in which changes are made and announced."""

    session: AsyncSession
    source: str

    async def announce(self, event: Message, *, message_id: str | None = None) -> None:
        """Publish `event` once this transaction is committed."""
        envelope = wrap(event, source=self.source, message_id=message_id)
        await self.session.execute(
            sa.insert(OUTBOX).values(
                subject=envelope.subject, headers=envelope.headers, body=envelope.body
            )
        )


class Outbox:
    """Transactions of a service, and the relay of what they announce."""

    def __init__(self, database: Database, messaging: Messaging) -> None:
        self._database = database
        self._messaging = messaging
        self._wake = asyncio.Event()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Yield a transaction; what it announced is relayed right after its commit."""
        async with self._database.transaction() as session:
            yield Transaction(session, self._messaging.service)
        self._wake.set()

    async def run(self) -> None:
        """Relay for ever; any replica may, one at a time does."""
        while True:
            self._wake.clear()
            try:
                while await self._relay_batch():
                    pass
            except (SQLAlchemyError, BrokerUnavailableError, OSError) as error:
                log.warning("outbox waits", error=repr(error)[:300])
                await asyncio.sleep(0.5)
            try:
                async with asyncio.timeout(POLL_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _relay_batch(self) -> bool:
        """Publish the oldest rows; return whether there may be more."""
        async with self._database.transaction() as session:
            lock = sa.select(sa.func.pg_try_advisory_xact_lock(RELAY_LOCK))
            if not (await session.execute(lock)).scalar_one():
                return False
            oldest = sa.select(OUTBOX).order_by(OUTBOX.c.id).limit(BATCH)
            rows = (await session.execute(oldest)).all()
            for row in rows:
                await self._messaging.publish_envelope(_envelope(row))
            if rows:
                await session.execute(
                    sa.delete(OUTBOX).where(OUTBOX.c.id.in_([row.id for row in rows]))
                )
            metrics.OUTBOX_PUBLISHED.inc(len(rows))
            return len(rows) == BATCH


def _envelope(row: Any) -> Envelope:
    return Envelope(row.subject, dict(row.headers), bytes(row.body))
