"""The transactional outbox: a change and its announcement are committed together or not at all.

`relay` publishes what was committed. A crash in between publishes again under the same
`Nats-Msg-Id`, and handlers are idempotent.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlmodel.ext.asyncio.session import AsyncSession

from reelay.common.cloudevents import Envelope, wrap
from reelay.common.database import Database
from reelay.common.message import Message
from reelay.common.messaging import Messaging
from reelay.common.messaging_tables import OUTBOX, is_new
from reelay.common.relay import Announcement, Relay

__all__ = ["OUTBOX", "Outbox", "Transaction", "is_new"]

NEW_ROWS = sa.insert(OUTBOX).returning(OUTBOX.c.id, sort_by_parameter_order=True)


@dataclass(frozen=True)
class Transaction:
    """A database session in which changes are made and announced."""

    session: AsyncSession
    source: str
    announced: list[Envelope] = field(default_factory=list)

    async def announce(self, event: Message, *, message_id: str | None = None) -> None:
        """Publish `event` once this transaction is committed."""
        self.announced.append(wrap(event, source=self.source, message_id=message_id))


class Outbox:
    """Transactions of a service, and the relay of what they announce."""

    def __init__(self, database: Database, messaging: Messaging) -> None:
        self._database = database
        self._source = messaging.service
        self._relay = Relay(database, messaging)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Yield a transaction; what it announced is relayed right after its commit."""
        async with self._database.transaction() as session:
            transaction = Transaction(session, self._source)
            yield transaction
            announcements = await _store(transaction)
        await self._relay.hand_over(announcements)

    async def run(self) -> None:
        """Relay for ever; every replica does."""
        await self._relay.run()


async def _store(transaction: Transaction) -> list[Announcement]:
    """Write all that a transaction announced, in one statement."""
    envelopes = transaction.announced
    if not envelopes:
        return []
    rows = [{"subject": e.subject, "headers": e.headers, "body": e.body} for e in envelopes]
    ids = (await transaction.session.execute(NEW_ROWS, rows)).scalars()
    return [Announcement(*pair) for pair in zip(ids, envelopes, strict=True)]
