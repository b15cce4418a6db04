"""Imports by URL, over HTTP."""

from collections.abc import Awaitable, Callable
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Response
from pydantic import BaseModel, Field

from reelay.common.bounded_bodies import BoundedRoute
from reelay.common.tokens import Identity
from reelay.upload.domain.errors import NotMediaError
from reelay.upload.domain.imports import Import
from reelay.upload.domain.upload import State, Upload
from reelay.upload.handlers.importing import Importing

PREFIX = "/api/v1/imports"
NO_STORE = {"cache-control": "no-store"}

PARTS_LOST = "What was stored of this file is lost; import it again."

VerifyHeader = Callable[[str | None], Awaitable[Identity]]
Authorization = Annotated[str | None, Header()]


class ImportOrder(BaseModel):
    """What to import."""

    url: str = Field(description="http or https URL of a video or audio file")
    video_id: UUID | None = Field(default=None, description="the draft it is for")
    filename: str | None = Field(default=None, description="else the last name in the URL's path")


class ImportState(BaseModel):
    """How far an import is."""

    id: UUID
    video_id: UUID | None
    url: str
    filename: str | None
    state: str = Field(description="`importing`, `complete`, `failed` or `cancelled`")
    received_bytes: int
    size_bytes: int | None = Field(description="null as long as the server has not told")
    tries: int = Field(description="tries in a row that brought next to nothing")
    problem: str | None = Field(description="name of what went wrong")
    reason: str | None = Field(description="what went wrong, as a sentence")

    @classmethod
    def of(cls, upload: Upload, job: Import) -> "ImportState":
        """Return what a client is told."""
        state = _state(upload, job)
        runs = state == "importing"
        return cls(
            id=upload.id,
            video_id=upload.video_id,
            url=job.url,
            filename=upload.filename,
            state=state,
            received_bytes=upload.offset_bytes,
            size_bytes=upload.size_bytes,
            tries=job.tries,
            problem=job.problem if runs else _failure(upload, job),
            reason=job.trouble if runs else _reason(upload, job),
        )


def imports_router(verify_header: VerifyHeader, importing: Importing) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix=PREFIX, tags=["imports"], route_class=BoundedRoute)

    @router.post("", status_code=202)
    async def begin_import(
        order: ImportOrder, response: Response, authorization: Authorization = None
    ) -> ImportState:
        """Fetch a file from another server, in the background."""
        identity = await verify_header(authorization)
        upload, job = await importing.begin(identity, order.url, order.video_id, order.filename)
        response.headers.update(NO_STORE | {"location": f"{PREFIX}/{upload.id}"})
        return ImportState.of(upload, job)

    @router.get("/{import_id}")
    async def look_at_import(
        import_id: UUID, response: Response, authorization: Authorization = None
    ) -> ImportState:
        """Say how far an import is."""
        identity = await verify_header(authorization)
        response.headers.update(NO_STORE)
        return ImportState.of(*await importing.look(identity, import_id))

    @router.delete("/{import_id}", status_code=204)
    async def cancel_import(import_id: UUID, authorization: Authorization = None) -> None:
        """End an import and remove its bytes."""
        await importing.cancel(await verify_header(authorization), import_id)

    return router


def _state(upload: Upload, job: Import) -> str:
    if upload.state is State.TERMINATED:
        return "failed" if job.failure else "cancelled"
    names = {State.RECEIVING: "importing", State.COMPLETE: "complete", State.REFUSED: "failed"}
    return names[upload.state]


def _failure(upload: Upload, job: Import) -> str | None:
    if upload.state is State.REFUSED:
        return job.failure or NotMediaError.problem
    return job.failure if upload.state is State.TERMINATED else None


def _reason(upload: Upload, job: Import) -> str | None:
    lost = upload.state is State.TERMINATED and job.failure
    return PARTS_LOST if lost else upload.refusal
