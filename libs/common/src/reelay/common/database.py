"""PostgreSQL: a pool, transactions, and migrations that replicas may start at the same time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import as_file, files

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

MIGRATION_LOCK = 0x7265656C6179  # 'reelay'


def sqlalchemy_url(url: str) -> str:
    """Return a postgresql:// URL in the form that selects the psycopg 3 driver."""
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


class Database:
    """The tables of one service."""

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self.engine: AsyncEngine = create_async_engine(
            sqlalchemy_url(url), pool_size=pool_size, max_overflow=pool_size, pool_pre_ping=True
        )
        self._sessions = async_sessionmaker(
            self.engine, class_=AsyncSession, expire_on_commit=False
        )

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """Yield a session whose changes are committed when the block ends without error."""
        async with self._sessions() as session, session.begin():
            yield session

    async def check(self) -> None:
        """Return when the database answers; raises sqlalchemy.exc.OperationalError otherwise."""
        async with self.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close all connections."""
        await self.engine.dispose()


async def migrate(url: str, package: str) -> None:
    """Bring the tables to the newest revision in `<package>/migrations`.

    Replicas that start together take turns by an advisory lock.
    """
    await asyncio.to_thread(_migrate, url, package)


def _migrate(url: str, package: str) -> None:
    engine = create_engine(sqlalchemy_url(url))
    with as_file(files(package) / "migrations") as directory, engine.connect() as connection:
        config = Config()
        config.set_main_option("script_location", str(directory))
        config.attributes["connection"] = connection
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
        try:
            command.upgrade(config, "head")
            connection.commit()
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": MIGRATION_LOCK})
            connection.commit()
    engine.dispose()


def run_migrations() -> None:
    """Body of every service's `migrations/env.py`."""
    from alembic import context

    context.configure(connection=context.config.attributes["connection"])
    with context.begin_transaction():
        context.run_migrations()
