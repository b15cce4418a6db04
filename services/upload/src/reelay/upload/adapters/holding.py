"""Holds of uploads across replicas: PostgreSQL advisory locks of one connection per process.

The server releases them with the connection, so a killed process holds nothing. If the connection
breaks under a living process, its requests may go on; then the conditional updates of the rows and
the tags of the parts keep an upload whole.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import UUID

import psycopg
import structlog

from reelay.common.errors import OutageError
from reelay.upload.domain.errors import UploadLockedError
from reelay.upload.domain.hold import Hold

PATIENCE_S = 2.0
"""How long a request waits for another to let go."""
POLL_S = 0.05
CONNECT_TIMEOUT_S = 5

log = structlog.get_logger()


class DatabaseSilentError(OutageError):
    """The database does not answer."""


class PostgresHolding:
    """Implements Holding."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._held: dict[UUID, Hold] = {}
        self._turn = asyncio.Lock()
        self._connection: psycopg.AsyncConnection | None = None

    @asynccontextmanager
    async def hold(self, upload_id: UUID, *, urgent: bool = False) -> AsyncIterator[Hold]:
        """See Holding."""
        hold = await self._acquire(upload_id, urgent=urgent)
        try:
            yield hold
        finally:
            try:
                await asyncio.shield(self._unlock(upload_id))
            finally:
                self._release(upload_id, hold)

    async def settled(self, upload_id: UUID) -> None:
        """See Holding."""
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        while asyncio.get_running_loop().time() < deadline:
            holder = self._held.get(upload_id)
            if holder is None or holder.receives:
                return
            if holder.stalled:
                holder.let_go()
            await _released(holder)

    def let_all_go(self) -> None:
        """Ask every request to keep what it has and end: the process is about to stop."""
        for hold in self._held.values():
            hold.let_go()

    async def close(self) -> None:
        """Give up the connection."""
        if self._connection is not None:
            await self._connection.close()

    async def _acquire(self, upload_id: UUID, *, urgent: bool) -> Hold:
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        while True:
            holder = self._held.get(upload_id)
            if holder is None:
                # Taken before the first await, so that no other request of this process may.
                hold = self._held[upload_id] = Hold()
                locked = False
                try:
                    locked = await self._lock(upload_id)
                finally:
                    if not locked:
                        self._release(upload_id, hold)
                if locked:
                    return hold
                await asyncio.sleep(POLL_S)
            else:
                if urgent or holder.stalled:
                    holder.let_go()
                await _released(holder)
            if asyncio.get_running_loop().time() > deadline:
                raise UploadLockedError

    def _release(self, upload_id: UUID, hold: Hold) -> None:
        del self._held[upload_id]
        hold.released.set()

    async def _lock(self, upload_id: UUID) -> bool:
        return await self._ask("SELECT pg_try_advisory_lock(%s)", upload_id)

    async def _unlock(self, upload_id: UUID) -> None:
        with suppress(DatabaseSilentError):
            await self._ask("SELECT pg_advisory_unlock(%s)", upload_id)

    async def _ask(self, query: str, upload_id: UUID) -> bool:
        """Return the answer to a query on the one connection, made anew when it is broken."""
        async with self._turn:
            for last_try in (False, True):
                try:
                    connection = self._connection or await self._connect()
                    cursor = await connection.execute(query.encode(), (_key(upload_id),))
                    row = await cursor.fetchone()
                except psycopg.OperationalError as error:
                    self._connection = None
                    if last_try:
                        raise DatabaseSilentError from error
                    log.warning("lock connection lost", error=repr(error)[:300])
                else:
                    return bool(row and row[0])
        raise AssertionError("unreachable")

    async def _connect(self) -> psycopg.AsyncConnection:
        self._connection = await psycopg.AsyncConnection.connect(
            self._url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S
        )
        return self._connection


async def _released(hold: Hold) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(POLL_S):
            await hold.released.wait()


def _key(upload_id: UUID) -> int:
    """Return the 64 random bits at the end of a UUIDv7 as PostgreSQL's signed bigint."""
    return int.from_bytes(upload_id.bytes[8:], signed=True)
