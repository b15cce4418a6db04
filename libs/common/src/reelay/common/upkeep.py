"""What collecting and verifying have in common in every service: turns and findings.

A collection removes what nothing needs any more (`reelay gc`), a verification compares what is
stored with what was promised (`reelay verify`).
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from reelay.common.database import Database, outages
from reelay.common.errors import ConflictError, ReelayError

LOCK = {"key": 0x636F6C6C656374}  # 'collect'

log = structlog.get_logger()


class CollectionRunningError(ConflictError):
    """A collection is under way; two at a time would only be in each other's way."""


@dataclass(frozen=True)
class Removal:
    """Something that nothing needs any more."""

    kind: str
    """`package`, `rewritten`, `staging`, `source` or `stray` (objects that no row knows)."""
    name: str
    objects: int
    size_bytes: int
    removed: bool
    """False in a dry run."""


@dataclass(frozen=True)
class Damage:
    """An object that is not what was promised."""

    path: str
    problem: str
    """In words."""


@dataclass(frozen=True)
class Verdict:
    """What a verification found of one package or source."""

    kind: str
    """`package` or `source`."""
    name: str
    objects: int
    size_bytes: int
    damaged: list[Damage] = field(default_factory=list)
    repair: str = ""
    """What is done about it: `restored`, `encoding`, `replaced`, or why nothing can be done."""


class Collects(Protocol):
    """A service's way to remove what nothing needs."""

    def collect(
        self, grace_s: float | None = None, *, dry_run: bool = False
    ) -> AsyncGenerator[Removal]:
        """Remove what was not needed for the grace period; yield each.

        Raises CollectionRunningError.
        """
        ...


class Verifies(Protocol):
    """A service's way to compare what it stored with what it promised."""

    def verify(self, names: Sequence[str] = (), *, repair: bool = False) -> AsyncGenerator[Verdict]:
        """Yield a verdict on everything, or on what is named; damaged or not."""
        ...


async def collect_for_ever(collecting: Collects, interval_s: float) -> None:
    """Collect again and again; of several replicas one does."""
    while True:
        await asyncio.sleep(interval_s)
        try:
            async for removal in collecting.collect():
                log.info("collected", kind=removal.kind, name=removal.name)
        except CollectionRunningError:
            continue
        except (ReelayError, OSError) as error:
            log.warning("collection waits", error=repr(error)[:300])


@asynccontextmanager
async def collecting_alone(database: Database) -> AsyncIterator[None]:
    """Be the one replica that collects; raises CollectionRunningError when another does.

    The lock ends with its connection, so that a killed replica holds up nobody. It only spares
    work: what makes a removal safe is decided anew for each, under a lock of its own. Raises
    DatabaseUnavailableError.
    """
    with outages():
        connection = await database.engine.connect()
        try:
            taken = await connection.execute(sa.text("SELECT pg_try_advisory_lock(:key)"), LOCK)
            if not taken.scalar_one():
                raise CollectionRunningError
            await connection.commit()
            yield
        finally:
            # Whoever asked may have gone, and then every wait here would be cancelled too.
            await asyncio.shield(asyncio.create_task(_release(connection)))


async def _release(connection: AsyncConnection) -> None:
    """Give the lock back, with its connection if need be."""
    try:
        await connection.execute(sa.text("SELECT pg_advisory_unlock_all()"))
        await connection.commit()
    except sa.exc.SQLAlchemyError:
        await connection.invalidate()
    finally:
        await connection.close()


def time_ago(age_s: float) -> datetime:
    """Return the time so many seconds ago."""
    return datetime.now(UTC) - timedelta(seconds=age_s)
