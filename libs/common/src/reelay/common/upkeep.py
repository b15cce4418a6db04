"""What collecting and verifying have in common in every service: turns, findings, and answers.

A collection removes what nothing needs any more (`reelay gc`), a verification compares what is
stored with what was promised (`reelay verify`). Either is asked for over HTTP by an administrator
and answers one JSON object a line, the last of which is `{"kind": "end", …}`: an answer without it
was cut short.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import StreamingResponse

from reelay.common.database import Database
from reelay.common.errors import ConflictError, ReelayError

LOCK = {"key": 0x636F6C6C656374}  # 'collect'
MAX_GRACE_S = 10 * 365 * 86400.0

log = structlog.get_logger()


class CollectionRunningError(ConflictError):
    """A collection is under way; two at a time would only be in each other's way."""


class CollectionOrder(BaseModel):
    """What to collect."""

    dry_run: bool = Field(default=False, description="only say what would be removed")
    grace_s: float | None = Field(
        default=None,
        ge=0,
        le=MAX_GRACE_S,
        description="spare what was needed, or stored, so recently; else as the service is set",
    )


class VerificationOrder(BaseModel):
    """What to verify."""

    names: list[str] = Field(default_factory=list, description="package or asset ids; none: all")
    repair: bool = Field(default=False, description="make damaged objects again")


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


@asynccontextmanager
async def collecting_alone(database: Database) -> AsyncIterator[None]:
    """Be the one replica that collects; raises CollectionRunningError when another does.

    The lock ends with its connection, so that a killed replica holds up nobody. It only spares
    work: what makes a removal safe is decided anew for each, under a lock of its own.
    """
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


async def answer_lines(findings: AsyncGenerator[Removal | Verdict]) -> StreamingResponse:
    """Return findings as they come, one JSON object a line (`application/x-ndjson`).

    What goes wrong before the first of them is raised, and so becomes a problem document.
    """
    first = await anext(findings, None)
    headers = {"cache-control": "no-store"}
    return StreamingResponse(
        _lines(first, findings), media_type="application/x-ndjson", headers=headers
    )


async def _lines(
    first: Removal | Verdict | None, findings: AsyncGenerator[Removal | Verdict]
) -> AsyncIterator[str]:
    last: dict[str, Any] = {"kind": "end"}
    async with aclosing(findings):
        try:
            if first is not None:
                yield _line(first)
            async for finding in findings:
                yield _line(finding)
        except ReelayError as error:  # the status is sent already; the last line says it
            last |= {"error": error.detail}
        except (sa.exc.SQLAlchemyError, OSError) as error:
            log.warning("cut short", error=repr(error)[:300])
            last |= {"error": "A server that this service needs does not answer; try again."}
    yield json.dumps(last) + "\n"


def _line(finding: Removal | Verdict) -> str:
    return json.dumps(asdict(finding)) + "\n"
