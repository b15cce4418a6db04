"""PostgreSQL: a pool and transactions."""

import select
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import structlog
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFreeError
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from reelay.common.errors import OutageError

CONNECTION = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""libpq's parameters (s; the last in ms): a server whose machine vanished is given up after about
10 s, where the kernel alone would wait for a quarter of an hour (PostgreSQL, 32.1.2)."""

OUTAGE_STATES = ("08", "25006", "25P03", "25P04", "53", "57")
"""SQLSTATEs, or their classes, of a server that is read-only (25006, as after a failover), ended a
transaction for its time, has no resources left, or is being stopped (PostgreSQL, Appendix A)."""

log = structlog.get_logger()


class DatabaseUnavailableError(OutageError):
    """The database does not answer, or has no connection free."""


def sqlalchemy_url(url: str) -> str:
    """Return a postgresql:// URL in the form that selects the psycopg 3 driver."""
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


class Database:
    """The tables of one service. Its contexts and `check` raise DatabaseUnavailableError."""

    def __init__(self, url: str, *, pool_size: int = 10, pool_timeout_s: float = 30.0) -> None:
        """A connection is waited for so long when all are in use."""
        self.engine: AsyncEngine = create_async_engine(
            sqlalchemy_url(url),
            connect_args=CONNECTION,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_timeout=pool_timeout_s,
            pool_use_lifo=True,  # the connection used last has its statements prepared
        )
        event.listen(self.engine.sync_engine, "checkout", self._check_out)
        self._sessions = async_sessionmaker(
            self.engine, class_=AsyncSession, expire_on_commit=False
        )
        self._autocommit = self.engine.execution_options(isolation_level="AUTOCOMMIT")

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """Yield a session whose changes are committed when the block ends without error."""
        with outages():
            async with self._sessions() as session, session.begin():
                yield session

    @asynccontextmanager
    async def autocommit(self) -> AsyncIterator[AsyncSession]:
        """Yield a session each of whose statements is a transaction of its own.

        A single statement takes one round trip so, instead of three.
        """
        with outages():
            async with self._sessions(bind=self._autocommit) as session:
                yield session

    async def check(self) -> None:
        """Return when the database answers."""
        with outages():
            async with self.engine.connect() as connection:
                await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close all connections."""
        await self.engine.dispose()

    def _check_out(self, connection: Any, *_: object) -> None:
        """Replace a connection that the server closed while nobody used it.

        On an idle connection there is nothing to read unless the server said goodbye, and looking
        costs no round trip; what else there may be to read is found out by a ping.
        """
        try:
            descriptor = connection.driver_connection.fileno()
            if not _is_readable(descriptor):
                return
            self.engine.dialect.do_ping(connection)
        except self.engine.dialect.dbapi.Error as error:  # type: ignore[union-attr]  # there is one
            raise DisconnectionError from error


@contextmanager
def outages() -> Iterator[None]:
    """Tell of a server that is down or has too much to do, to those who know no SQLAlchemy too."""
    try:
        yield
    except (DBAPIError, NoConnectionFreeError) as error:
        if not _is_outage(error):
            raise
        log.warning("the database cannot be used", error=repr(error)[:300])
        raise DatabaseUnavailableError from error


def _is_outage(error: DBAPIError | NoConnectionFreeError) -> bool:
    """Tell a server that cannot serve now, or a connection lost, from a statement that is wrong."""
    if isinstance(error, OperationalError | InterfaceError | NoConnectionFreeError):
        return True
    state = getattr(error.orig, "sqlstate", None) or ""
    return error.connection_invalidated or state.startswith(OUTAGE_STATES)


def _is_readable(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
