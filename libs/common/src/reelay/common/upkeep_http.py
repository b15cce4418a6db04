"""The HTTP side of upkeep: what `reelay gc` and `reelay verify` ask of a service.

An answer is one JSON object a line, the last of which is `{"kind": "end", …}`: one without it was
cut short.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import asdict
from typing import Annotated, Any

import sqlalchemy as sa
import structlog
from fastapi import APIRouter, Header
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import StreamingResponse

from reelay.common.bounded_bodies import BoundedRoute
from reelay.common.errors import ReelayError
from reelay.common.openapi import content_of
from reelay.common.tokens import Identity
from reelay.common.upkeep import Collects, Removal, Verdict, Verifies

MAX_GRACE_S = 10 * 365 * 86400.0
MAX_NAMES = 10_000
"""PostgreSQL takes 65,535 parameters in one query."""

Name = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]

VerifyHeader = Callable[[str | None], Awaitable[Identity]]
Authorization = Annotated[str | None, Header()]

LINES = content_of("application/x-ndjson", "One JSON object a line; the last is `kind: end`.")

log = structlog.get_logger()


class CollectionOrder(BaseModel):
    """What to collect. Strict: `false` is no number of seconds, and `1` is no dry run."""

    model_config = ConfigDict(strict=True)

    dry_run: bool = Field(default=False, description="only say what would be removed")
    grace_s: float | None = Field(
        default=None,
        ge=0,
        le=MAX_GRACE_S,
        description="spare what was needed, or stored, so recently; else as the service is set",
    )


class VerificationOrder(BaseModel):
    """What to verify."""

    model_config = ConfigDict(strict=True)

    names: list[Name] = Field(
        default_factory=list, max_length=MAX_NAMES, description="package or asset ids; none: all"
    )
    repair: bool = Field(default=False, description="make damaged objects again")


def upkeep_router(
    prefix: str, verify_header: VerifyHeader, collecting: Collects, verifying: Verifies
) -> APIRouter:
    """Return the routes of a service's upkeep below `prefix`; administrators alone may use them."""
    router = APIRouter(prefix=prefix, tags=["upkeep"], route_class=BoundedRoute)

    async def check_admin(authorization: str | None) -> None:
        (await verify_header(authorization)).require("admin")

    @router.post("/gc", response_class=StreamingResponse, responses=LINES)
    async def collect(
        order: CollectionOrder, authorization: Authorization = None
    ) -> StreamingResponse:
        """Remove what nothing needs any more."""
        await check_admin(authorization)
        return await _answer(collecting.collect(order.grace_s, dry_run=order.dry_run))

    @router.post("/verify", response_class=StreamingResponse, responses=LINES)
    async def verify(
        order: VerificationOrder, authorization: Authorization = None
    ) -> StreamingResponse:
        """Compare what is stored with what was promised; repair what is damaged if asked to."""
        await check_admin(authorization)
        return await _answer(verifying.verify(order.names, repair=order.repair))

    return router


async def _answer(findings: AsyncGenerator[Removal | Verdict]) -> StreamingResponse:
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
