"""The HTTP side of upkeep: what `reelay gc` and `reelay verify` ask of the upload service."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Header
from starlette.responses import StreamingResponse

from reelay.common.tokens import Identity
from reelay.common.upkeep import CollectionOrder, VerificationOrder, answer_lines
from reelay.upload.handlers.collecting import Collecting
from reelay.upload.handlers.verifying import Verifying

VerifyHeader = Callable[[str | None], Awaitable[Identity]]
Authorization = Annotated[str | None, Header()]


def upkeep_router(
    verify_header: VerifyHeader, collecting: Collecting, verifying: Verifying
) -> APIRouter:
    """Return the routes below `/api/v1/sources`; administrators alone may use them."""
    router = APIRouter(prefix="/api/v1/sources", tags=["upkeep"])

    async def check_admin(authorization: str | None) -> None:
        (await verify_header(authorization)).require("admin")

    @router.post("/gc")
    async def collect(
        order: CollectionOrder, authorization: Authorization = None
    ) -> StreamingResponse:
        """Remove sources that no video needs."""
        await check_admin(authorization)
        return await answer_lines(collecting.collect(order.grace_s, dry_run=order.dry_run))

    @router.post("/verify")
    async def verify(
        order: VerificationOrder, authorization: Authorization = None
    ) -> StreamingResponse:
        """Recompute the asset ids of sources from their bytes."""
        await check_admin(authorization)
        return await answer_lines(verifying.verify(order.names, repair=order.repair))

    return router
