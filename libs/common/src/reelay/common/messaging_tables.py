"""The tables of every service that announces what it changes."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlmodel.ext.asyncio.session import AsyncSession

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


async def is_new(session: AsyncSession, consumer: str, message_id: str) -> bool:
    """Note that `consumer` handles a message; False when it has done so before.

    For handlers whose effect has no unique key of its own.
    """
    statement = insert(INBOX).values(consumer=consumer, message_id=message_id)
    done = await session.execute(statement.on_conflict_do_nothing().returning(INBOX.c.consumer))
    return done.first() is not None
