"""What a client can do with an upload: begin it, send bytes, ask how far it is, withdraw it."""

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol
from uuid import UUID

import structlog

from reelay.common.errors import ForbiddenError
from reelay.common.storage.port import AttemptMissingError, InvalidPartsError, ObjectStore
from reelay.common.tokens import Identity
from reelay.upload.domain.errors import (
    ExcessError,
    NotMediaError,
    OffsetMismatchError,
    UploadCompleteError,
    UploadGoneError,
    UploadLockedError,
)
from reelay.upload.domain.hold import Hold
from reelay.upload.domain.ports import Holding, Uploads
from reelay.upload.domain.upload import State, Upload
from reelay.upload.handlers.completion import Completion
from reelay.upload.handlers.creation import Creation
from reelay.upload.handlers.reception import Reception
from reelay.upload.handlers.tidying import Tidying

PARTS_LOST = (AttemptMissingError, InvalidPartsError)
"""What the store says when parts were swept, or replaced by a request that had lost its hold."""
LOST = "The stored parts of this upload are lost; begin a new one."

log = structlog.get_logger()


class Body(Protocol):
    """The bytes of one request."""

    @property
    def announced_bytes(self) -> int | None:
        """Number of bytes that the client says it will send, when it does."""
        ...

    def blocks(self, hold: Hold) -> AsyncIterator[bytes]:
        """Yield what comes, until the end, a broken connection, or the wish to let go."""
        ...


@dataclass(frozen=True)
class Uploading:
    """The use cases of a tus server."""

    store: ObjectStore
    uploads: Uploads
    holding: Holding
    creation: Creation
    completion: Completion
    tidying: Tidying

    async def begin(
        self, identity: Identity, size_bytes: int, metadata: str, body: Body | None = None
    ) -> Upload:
        """Begin an upload, with its first bytes when there is a body."""
        identity.require("upload")
        if body is not None and (body.announced_bytes or 0) > size_bytes:
            raise ExcessError
        upload = await self.creation.begin(identity, size_bytes, metadata)
        if body is None:
            return upload
        async with self.holding.hold(upload.id) as hold:
            try:
                return await self._receive(upload, body, hold)
            except ExcessError:
                await self.end(upload, State.TERMINATED)
                raise

    async def receive(self, identity: Identity, upload_id: UUID, offset: int, body: Body) -> Upload:
        """Append a request's bytes; return the upload with what is durable then.

        Raises OffsetMismatchError when `offset` is not where it stands, UploadLockedError while
        another request sends, ExcessError and NotMediaError.
        """
        async with self.holding.hold(upload_id) as hold:
            upload = await self._own(identity, upload_id)
            if upload.waits_to_be_finished:
                upload = await self._finish(upload)
            if upload.offset_bytes != offset:
                raise OffsetMismatchError(f"This upload stands at {upload.offset_bytes}.")
            if (body.announced_bytes or 0) > upload.remaining_bytes:
                raise ExcessError
            return await self._receive(upload, body, hold)

    async def look(self, identity: Identity, upload_id: UUID) -> Upload:
        """Return an upload with an offset that no earlier request will move any more."""
        await self.holding.settled(upload_id)
        upload = await self._own(identity, upload_id)
        if upload.waits_to_be_finished:
            with suppress(UploadLockedError):
                async with self.holding.hold(upload_id):
                    return await self.finish_left(upload_id)
        return upload

    async def withdraw(self, identity: Identity, upload_id: UUID) -> None:
        """End an upload and remove its bytes; raise UploadCompleteError when it is complete."""
        await self._own(identity, upload_id)
        async with self.holding.hold(upload_id, urgent=True):
            upload = await self._own(identity, upload_id)
            if upload.state is State.COMPLETE or upload.waits_to_be_finished:
                raise UploadCompleteError
            await self.end(upload, State.TERMINATED)

    async def finish_left(self, upload_id: UUID) -> Upload:
        """Finish what a crash left half done; the upload is held."""
        upload = await self.uploads.find(upload_id)
        if upload.waits_to_be_finished:
            return await self._finish(upload)
        return upload

    async def end(self, upload: Upload, state: State, refusal: str | None = None) -> None:
        """End an unfinished upload and remove its bytes; the upload is held."""
        if await self.uploads.end(upload, state, refusal):
            await self.tidying.tidy(replace(upload, state=state))

    async def _receive(self, upload: Upload, body: Body, hold: Hold) -> Upload:
        if upload.state is State.COMPLETE:
            return upload
        reception = Reception(upload, self.store, self.uploads, self.completion)
        await reception.take_back_tail()
        try:
            async for block in body.blocks(hold):
                await reception.take(block)
            return await reception.keep()
        except NotMediaError as error:
            await self.end(reception.upload, State.REFUSED, error.detail)
            raise
        except PARTS_LOST as error:
            await self._give_up(reception.upload)
            raise UploadGoneError(LOST) from error

    async def _finish(self, upload: Upload) -> Upload:
        try:
            return await self.completion.finish(upload)
        except PARTS_LOST as error:
            await self._give_up(upload)
            raise UploadGoneError(LOST) from error

    async def _give_up(self, upload: Upload) -> None:
        log.error("stored parts are lost", upload_id=str(upload.id))
        await self.end(upload, State.TERMINATED)

    async def _own(self, identity: Identity, upload_id: UUID) -> Upload:
        """Return an upload that `identity` may change and that still exists."""
        identity.require("upload")
        upload = await self.uploads.find(upload_id)
        if upload.owner_id != identity.subject and "admin" not in identity.scopes:
            raise ForbiddenError("This upload is somebody else's.")
        if upload.state is State.REFUSED:
            raise NotMediaError(upload.refusal)
        if upload.state is State.TERMINATED:
            raise UploadGoneError
        return upload
