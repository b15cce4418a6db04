"""tus 1.0 over HTTP."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware

from reelay.common.tokens import Identity
from reelay.upload.domain.errors import (
    InterruptedUploadError,
    SlowClientError,
    UploadMissingError,
)
from reelay.upload.domain.upload import Upload
from reelay.upload.entrypoints import documents, tus
from reelay.upload.entrypoints.body import Ending, RequestBody
from reelay.upload.entrypoints.middleware import TusMiddleware
from reelay.upload.handlers.uploading import Uploading

VerifyHeader = Callable[[str | None], Awaitable[Identity]]


def add_uploads(app: FastAPI, endpoints: "UploadEndpoints") -> None:
    """Add the endpoints, and what browsers of other origins need (CORS)."""
    app.include_router(endpoints.router())
    app.add_middleware(TusMiddleware)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=["*"],
        allow_methods=["OPTIONS", "GET", "POST", "PUT", "HEAD", "PATCH", "DELETE"],
        allow_headers=list(tus.REQUEST_HEADERS),
        expose_headers=list(tus.RESPONSE_HEADERS),
        max_age=86400,
    )


@dataclass(frozen=True)
class UploadEndpoints:
    """The endpoints of `/api/v1/uploads`."""

    uploading: Uploading
    verify_header: VerifyHeader
    expires_after_s: float
    stall_limit_s: float

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(prefix=tus.PREFIX, tags=["uploads"])
        add, one = router.add_api_route, "/{upload_id}"
        add("", self.capabilities, methods=["OPTIONS"], status_code=204)
        add(one, self.capabilities_of_one, methods=["OPTIONS"], status_code=204)
        add("", self.begin_upload, methods=["POST"], status_code=201,
            response_class=Response, openapi_extra=documents.CREATION)  # fmt: skip
        add(one, self.look_at_upload, methods=["HEAD"],
            response_class=Response, openapi_extra=documents.LOOK)  # fmt: skip
        add(one, self.send_bytes, methods=["PATCH"], status_code=204,
            openapi_extra=documents.SENDING)  # fmt: skip
        add(one, self.withdraw_upload, methods=["DELETE"], status_code=204,
            openapi_extra=documents.LOOK)  # fmt: skip
        return router

    async def capabilities(self) -> Response:
        """Say what this server can do."""
        return Response(status_code=204, headers=tus.capabilities(self.uploading.limits))

    async def capabilities_of_one(self, upload_id: str) -> Response:
        """Say what this server can do with an upload."""
        return await self.capabilities()

    async def begin_upload(self, request: Request) -> Response:
        """Begin an upload, with its first bytes when there is a body."""
        identity = await self._client(request)
        body = RequestBody(request, self.stall_limit_s)
        has_body = body.announced_bytes != 0
        if has_body:
            tus.check_content_type(request)
        upload = await self.uploading.begin(
            identity, tus.new_upload(request), body if has_body else None, tus.checksum(request)
        )
        headers = tus.progress_headers(upload, self.expires_after_s)
        return Response(status_code=201, headers={"location": tus.location(upload), **headers})

    async def look_at_upload(self, request: Request, upload_id: str) -> Response:
        """Say how many bytes are safely stored."""
        identity = await self._client(request)
        upload = await self.uploading.look(identity, _id(upload_id))
        pieces = await self.uploading.pieces_of(upload)
        return Response(headers=tus.state_headers(upload, pieces, self.expires_after_s))

    async def send_bytes(self, request: Request, upload_id: str) -> Response:
        """Append bytes to an upload."""
        identity = await self._client(request)
        tus.check_content_type(request)
        offset = tus.number_in(request, "Upload-Offset")
        body = RequestBody(request, self.stall_limit_s)
        length, checksum = tus.late_length(request), tus.checksum(request)
        upload = await self.uploading.receive(
            identity, _id(upload_id), offset, body, length=length, checksum=checksum
        )
        _check_ending(body, upload, checked=checksum is not None)
        headers = tus.progress_headers(upload, self.expires_after_s)
        return Response(status_code=204, headers=headers)

    async def withdraw_upload(self, request: Request, upload_id: str) -> Response:
        """End an unfinished upload and remove its bytes."""
        identity = await self._client(request)
        await self.uploading.withdraw(identity, _id(upload_id))
        return Response(status_code=204)

    async def _client(self, request: Request) -> Identity:
        tus.check_version(request)
        return await self.verify_header(request.headers.get("authorization"))


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise UploadMissingError from error


def _check_ending(body: RequestBody, upload: Upload, *, checked: bool) -> None:
    """Tell a client whose request was ended early that it has to go on with another."""
    nothing = "Nothing was kept, as its checksum could not be checked." if checked else None
    if not upload.is_whole and body.ending is Ending.STALLED:
        raise SlowClientError(nothing and f"No byte came for a while. {nothing}")
    if not upload.is_whole and body.ending is Ending.INTERRUPTED:
        raise InterruptedUploadError(nothing and f"The server had to end this request. {nothing}")
