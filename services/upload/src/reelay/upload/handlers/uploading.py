"""What a client can do with an upload: begin it, send bytes, ask how far it is, withdraw it."""

from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from reelay.common.errors import ConflictError, ForbiddenError, InvalidRequestError
from reelay.common.tokens import Identity
from reelay.upload.domain.checksum import Checksum
from reelay.upload.domain.errors import (
    ChecksumMismatchError,
    ExcessError,
    FinalUploadError,
    NotMediaError,
    OffsetMismatchError,
    TooLargeError,
    UploadCompleteError,
    UploadGoneError,
    UploadLockedError,
)
from reelay.upload.domain.limits import Limits
from reelay.upload.domain.ports import Holding, Uploads
from reelay.upload.domain.upload import Kind, State, Upload
from reelay.upload.handlers.creation import Creation, NewUpload
from reelay.upload.handlers.joining import Joining
from reelay.upload.handlers.receiving import Body, Receiving


@dataclass(frozen=True)
class Uploading:
    """The use cases of a tus server."""

    uploads: Uploads
    holding: Holding
    limits: Limits
    creation: Creation
    receiving: Receiving
    joining: Joining

    async def begin(
        self,
        identity: Identity,
        new: NewUpload,
        body: Body | None = None,
        checksum: Checksum | None = None,
    ) -> Upload:
        """Begin an upload, with its first bytes when there is a body."""
        identity.require("upload")
        if new.concatenation.kind is Kind.FINAL:
            return await self._join(identity, new, body)
        if body is not None and new.size_bytes is not None:
            self.limits.check_size(new.size_bytes)
            if (body.announced_bytes or 0) > new.size_bytes:
                raise ExcessError
        upload = await self.creation.begin(identity, new)
        if body is None:
            return upload
        async with self.holding.hold(upload.id) as hold:
            try:
                return await self.receiving.receive(upload, body, hold, checksum)
            except (TooLargeError, ChecksumMismatchError):
                # The client was not told the upload's name: nobody could go on with it.
                await self.receiving.end(upload, State.TERMINATED)
                raise

    async def receive(
        self,
        identity: Identity,
        upload_id: UUID,
        offset: int,
        body: Body,
        *,
        length: int | None = None,
        checksum: Checksum | None = None,
    ) -> Upload:
        """Append a request's bytes; return the upload with what is durable then.

        `length` tells the size of an upload that deferred it. Raises OffsetMismatchError when
        `offset` is not where it stands, UploadLockedError while another request sends, ExcessError,
        TooLargeError, NotMediaError, ChecksumMismatchError and FinalUploadError.
        """
        async with self.holding.hold(upload_id) as hold:
            upload = await self.own(identity, upload_id)
            if not upload.takes_requests:
                raise FinalUploadError
            if upload.waits_to_be_finished:
                upload = await self.receiving.finish(upload)
            if upload.offset_bytes != offset:
                raise OffsetMismatchError(f"This upload stands at {upload.offset_bytes}.")
            if length is not None:
                upload = await self._take_length(upload, length, body)
            if not upload.has_room_for(body.announced_bytes or 0):
                raise ExcessError
            if upload.state is not State.RECEIVING:
                return upload
            return await self.receiving.receive(upload, body, hold, checksum)

    async def look(self, identity: Identity, upload_id: UUID) -> Upload:
        """Return an upload with an offset that no earlier request will move any more."""
        await self.holding.settled(upload_id)
        upload = await self.own(identity, upload_id)
        if upload.waits_to_be_joined:
            self.joining.start(upload_id)
        elif upload.waits_to_be_finished:
            with suppress(UploadLockedError):
                async with self.holding.hold(upload_id):
                    return await self.finish_left(upload_id)
        return upload

    async def pieces_of(self, upload: Upload) -> list[UUID]:
        """Return the partial uploads that a final one joins, in order; none of any other."""
        if upload.kind is not Kind.FINAL:
            return []
        return [piece.id for piece in await self.uploads.partials(upload.id)]

    async def withdraw(self, identity: Identity, upload_id: UUID) -> None:
        """End an unfinished upload and remove its bytes; raise UploadCompleteError when complete.

        A partial upload that is part of a final one is withdrawn with that: ConflictError.
        """
        await self.own(identity, upload_id)
        async with self.holding.hold(upload_id, urgent=True):
            upload = await self.own(identity, upload_id)
            if upload.final_id is not None:
                raise ConflictError("This upload is part of another; withdraw that one.")
            if upload.state is State.COMPLETE or upload.waits_to_be_finished:
                raise UploadCompleteError
            await self.receiving.end(upload, State.TERMINATED)

    async def finish_left(self, upload_id: UUID) -> Upload:
        """Finish what a crash left half done; the upload is held."""
        upload = await self.uploads.find(upload_id)
        if upload.waits_to_be_finished:
            return await self.receiving.finish(upload)
        return upload

    async def _join(self, identity: Identity, new: NewUpload, body: Body | None) -> Upload:
        if body is not None:
            raise InvalidRequestError("A final upload has no bytes of its own.")
        upload = await self.creation.begin_final(identity, new)
        if upload.waits_to_be_joined:
            upload = await self.joining.join(upload.id)
        _check_alive(upload)
        return upload

    async def _take_length(self, upload: Upload, length: int, body: Body) -> Upload:
        if upload.size_bytes is not None:
            if upload.size_bytes != length:
                raise InvalidRequestError(f"Upload-Length was told before: {upload.size_bytes}.")
            return upload
        self.limits.check_size(length)
        if length < upload.offset_bytes:
            raise InvalidRequestError(f"This upload has {upload.offset_bytes} bytes already.")
        told = upload.with_length(length)
        if not told.has_room_for(body.announced_bytes or 0):
            raise ExcessError
        return await self.uploads.advance(upload, told)

    async def own(self, identity: Identity, upload_id: UUID) -> Upload:
        """Return an upload that `identity` may change and that still exists.

        Raises ForbiddenError, UploadGoneError, and NotMediaError when that is why it ended.
        """
        upload = await self.find_own(identity, upload_id)
        _check_alive(upload)
        return upload

    async def find_own(self, identity: Identity, upload_id: UUID) -> Upload:
        """Return an upload of `identity`, whatever became of it.

        Raises UploadMissingError and ForbiddenError.
        """
        identity.require("upload")
        upload = await self.uploads.find(upload_id)
        if upload.owner_id != identity.subject and "admin" not in identity.scopes:
            raise ForbiddenError("This upload is somebody else's.")
        return upload


def _check_alive(upload: Upload) -> None:
    if upload.state is State.REFUSED:
        raise NotMediaError(upload.refusal)
    if upload.state is State.TERMINATED:
        raise UploadGoneError
