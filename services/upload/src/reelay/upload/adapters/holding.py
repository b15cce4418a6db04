"""Holds of uploads across replicas: PostgreSQL advisory locks of one connection per process.

The server releases them with the connection, so a killed process holds nothing; that of a machine
which vanished is found dead by keepalives within seconds. If the connection breaks under a living
process, its requests may go on; then the conditional updates of the rows, the tags of the parts,
and that bytes of others are replaced only inside such an update, keep an upload whole.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from uuid import UUID

import psycopg
import structlog
from psycopg.conninfo import make_conninfo

from reelay.common.database import CONNECTION
from reelay.common.errors import OutageError
from reelay.upload.domain.errors import UploadLockedError
from reelay.upload.domain.hold import Hold

PATIENCE_S = 2.0
"""How long a request waits for another to let go."""
POLL_S = 0.05
ASK_EVERY_S = 0.4
"""How often the replica that holds an upload is asked to give way: it does so only when its client
was silent for STALLED_AFTER_S, which may happen while we wait."""
KEEPALIVES = b"""SELECT set_config('tcp_keepalives_idle', '3', false),
    set_config('tcp_keepalives_interval', '1', false),
    set_config('tcp_keepalives_count', '3', false)"""
"""The server looks after 3 s of silence, and gives a client up after 3 looks without answer."""

log = structlog.get_logger()


class DatabaseSilentError(OutageError):
    """The database does not answer."""


Ask = Callable[[UUID, bool], Awaitable[None]]


async def _ask_nobody(upload_id: UUID, urgent: bool) -> None:
    """There is one replica."""


class PostgresHolding:
    """Implements Holding."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._held: dict[UUID, Hold] = {}
        self._undoing: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()
        self._connection: psycopg.AsyncConnection | None = None
        self.ask_others: Ask = _ask_nobody

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
        loop = asyncio.get_running_loop()
        start = loop.time()
        asked_s = start - ASK_EVERY_S
        while loop.time() < start + PATIENCE_S:
            holder = self._held.get(upload_id)
            if holder is None:
                if not await self._held_elsewhere(upload_id):
                    return
                if loop.time() >= asked_s + ASK_EVERY_S:
                    asked_s = loop.time()
                    await self.ask_others(upload_id, False)
                await asyncio.sleep(POLL_S)
            elif holder.receives:
                return
            else:
                if holder.stalled:
                    holder.let_go()
                await _released(holder)

    def give_way(self, upload_id: UUID, *, urgent: bool) -> None:
        """Ask this process's request on an upload to let go, if it is stalled or that is urgent."""
        holder = self._held.get(upload_id)
        if holder is not None and (urgent or holder.stalled):
            holder.let_go()

    def let_all_go(self) -> None:
        """Ask every request to keep what it has and end: the process is about to stop."""
        for hold in self._held.values():
            hold.let_go()

    async def close(self) -> None:
        """Give up the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _acquire(self, upload_id: UUID, *, urgent: bool) -> Hold:
        loop = asyncio.get_running_loop()
        deadline, asked_s = loop.time() + PATIENCE_S, loop.time() - ASK_EVERY_S
        while True:
            holder = self._held.get(upload_id)
            if holder is None:
                if hold := await self._try(upload_id):
                    return hold
                if loop.time() >= asked_s + ASK_EVERY_S:
                    asked_s = loop.time()
                    await self.ask_others(upload_id, urgent)
                await asyncio.sleep(POLL_S)
            else:
                self.give_way(upload_id, urgent=urgent)
                await _released(holder)
            if loop.time() > deadline:
                raise UploadLockedError

    async def _try(self, upload_id: UUID) -> Hold | None:
        # Taken before the first await, so that no other request of this process may.
        hold = self._held[upload_id] = Hold()
        locking = asyncio.create_task(self._lock(upload_id))
        try:
            locked = await asyncio.shield(locking)
        except asyncio.CancelledError:
            # The database may answer yes to whoever is gone by then.
            self._later(self._undo(upload_id, hold, locking))
            raise
        except BaseException:
            self._release(upload_id, hold)
            raise
        if not locked:
            self._release(upload_id, hold)
        return hold if locked else None

    async def _undo(self, upload_id: UUID, hold: Hold, locking: asyncio.Task[bool]) -> None:
        try:
            with suppress(DatabaseSilentError):
                if await locking:
                    await self._unlock(upload_id)
        finally:
            self._release(upload_id, hold)

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._undoing.add(task)
        task.add_done_callback(self._undoing.discard)

    async def _held_elsewhere(self, upload_id: UUID) -> bool:
        if hold := await self._try(upload_id):
            try:
                await asyncio.shield(self._unlock(upload_id))
            finally:
                self._release(upload_id, hold)
        return hold is None

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
                    await self.close()
                    if last_try:
                        raise DatabaseSilentError from error
                    log.warning("lock connection lost", error=repr(error)[:300])
                else:
                    return bool(row and row[0])
        raise AssertionError("unreachable")

    async def _connect(self) -> psycopg.AsyncConnection:
        self._connection = await psycopg.AsyncConnection.connect(
            make_conninfo(self._url, **CONNECTION), autocommit=True
        )
        await self._connection.execute(KEEPALIVES)
        return self._connection


async def _released(hold: Hold) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(POLL_S):
            await hold.released.wait()


def _key(upload_id: UUID) -> int:
    """Return the 64 random bits at the end of a UUIDv7 as PostgreSQL's signed bigint."""
    return int.from_bytes(upload_id.bytes[8:], signed=True)
