"""Presigned uploads, over HTTP: clients send the parts of a file straight to the object store."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Response
from pydantic import BaseModel, Field

from reelay.common.bounded_bodies import BoundedRoute
from reelay.common.identity import PART_SIZE_BYTES
from reelay.common.tokens import Identity
from reelay.upload.domain.presigned import Announcement, number_of_parts
from reelay.upload.domain.upload import State, Upload
from reelay.upload.handlers.presigning import Link, Presigning

PREFIX = "/api/v1/uploads/presigned"
MAX_LINKS = 1000
"""So many parts (8 GB) are announced in one request at most."""
STATES = {
    State.RECEIVING: "receiving",
    State.COMPLETE: "complete",
    State.REFUSED: "failed",
    State.TERMINATED: "cancelled",
}

VerifyHeader = Callable[[str | None], Awaitable[Identity]]
Authorization = Annotated[str | None, Header()]


class PartDigest(BaseModel):
    """A part that a client is about to send."""

    number: int = Field(ge=1, description="counted from 1")
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="of its bytes, lower-case hex")

    def announcement(self) -> Announcement:
        """Return what the domain knows it as."""
        return Announcement(self.number, bytes.fromhex(self.sha256))


Parts = Annotated[list[PartDigest], Field(max_length=MAX_LINKS)]


class PartsOrder(BaseModel):
    """Parts that links are wanted for."""

    parts: Parts


class PresignedOrder(BaseModel):
    """A file that a client is about to send."""

    size_bytes: int = Field(ge=0, le=2**62)
    video_id: UUID | None = Field(default=None, description="the draft it is for")
    filename: str | None = None
    parts: Parts = Field(default=[], description="the first parts, or all")


class PartLink(BaseModel):
    """A request that whoever has it may make, with the announced bytes and no others."""

    number: int
    method: str
    url: str = Field(description="absolute, or a path on this server")
    headers: dict[str, str] = Field(description="to be sent exactly so")
    expires_at: datetime

    @classmethod
    def of(cls, link: Link) -> "PartLink":
        """Return what a client is told."""
        request = link.request
        return cls(
            number=link.number,
            method=request.method,
            url=request.url,
            headers=request.headers,
            expires_at=datetime.fromtimestamp(request.expires_at_s, UTC),
        )


class PartLinks(BaseModel):
    """Links, in the order in which parts were announced."""

    parts: list[PartLink]


class PresignedState(BaseModel):
    """How far a presigned upload is."""

    id: UUID
    video_id: UUID | None
    filename: str | None
    state: str = Field(description="`receiving`, `complete`, `failed` or `cancelled`")
    reason: str | None = Field(description="why it failed, as a sentence")
    size_bytes: int
    part_size_bytes: int = Field(description="of every part but the last")
    part_count: int
    stored_parts: list[int] = Field(description="numbers of the parts that the store has")
    asset_id: str | None = Field(description="when complete: the identity of the bytes")

    @classmethod
    def of(cls, upload: Upload, stored: Sequence[int] = ()) -> "PresignedState":
        """Return what a client is told."""
        size_bytes = upload.size_bytes or 0
        return cls(
            id=upload.id,
            video_id=upload.video_id,
            filename=upload.filename,
            state=STATES[upload.state],
            reason=upload.refusal,
            size_bytes=size_bytes,
            part_size_bytes=PART_SIZE_BYTES,
            part_count=number_of_parts(size_bytes),
            stored_parts=list(stored),
            asset_id=upload.asset_id,
        )


class BegunUpload(PresignedState):
    """A presigned upload, with the links of the parts that were announced with it."""

    parts: list[PartLink]


def presigned_router(verify_header: VerifyHeader, presigning: Presigning) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix=PREFIX, tags=["presigned uploads"], route_class=BoundedRoute)

    @router.post("", status_code=201)
    async def begin_presigned(
        order: PresignedOrder, response: Response, authorization: Authorization = None
    ) -> BegunUpload:
        """Begin an upload whose parts are sent straight to the object store."""
        identity = await verify_header(authorization)
        parts = [part.announcement() for part in order.parts]
        presigning.check(order.size_bytes, parts)
        upload = await presigning.begin(identity, order.size_bytes, order.video_id, order.filename)
        links = await presigning.links(identity, upload.id, parts)
        response.headers["location"] = f"{PREFIX}/{upload.id}"
        state = PresignedState.of(upload)
        return BegunUpload(**state.model_dump(), parts=[PartLink.of(link) for link in links])

    @router.post("/{upload_id}/parts")
    async def announce_parts(
        upload_id: UUID, order: PartsOrder, authorization: Authorization = None
    ) -> PartLinks:
        """Get links for further parts, or new ones for parts whose links are over."""
        identity = await verify_header(authorization)
        parts = [part.announcement() for part in order.parts]
        links = await presigning.links(identity, upload_id, parts)
        return PartLinks(parts=[PartLink.of(link) for link in links])

    @router.get("/{upload_id}")
    async def look_at_presigned(
        upload_id: UUID, authorization: Authorization = None
    ) -> PresignedState:
        """Say which parts are stored."""
        identity = await verify_header(authorization)
        return PresignedState.of(*await presigning.look(identity, upload_id))

    @router.post("/{upload_id}/complete")
    async def complete_presigned(
        upload_id: UUID, authorization: Authorization = None
    ) -> PresignedState:
        """Make one file of the stored parts; once more changes nothing."""
        identity = await verify_header(authorization)
        return PresignedState.of(await presigning.complete(identity, upload_id))

    @router.delete("/{upload_id}", status_code=204)
    async def withdraw_presigned(upload_id: UUID, authorization: Authorization = None) -> None:
        """End an unfinished upload and remove its parts."""
        await presigning.withdraw(await verify_header(authorization), upload_id)

    return router
