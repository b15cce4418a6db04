"""What a client can do with a presigned upload: begin it, get links, complete it, withdraw it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from reelay.common.storage.port import (
    AttemptMissingError,
    ObjectStore,
    SignedRequest,
    StoreUnavailableError,
)
from reelay.common.tokens import Identity
from reelay.upload.domain.concatenation import Concatenation
from reelay.upload.domain.errors import UploadCompleteError, UploadGoneError, UploadMissingError
from reelay.upload.domain.metadata import clean_filename, format_metadata
from reelay.upload.domain.presigned import (
    Announcement,
    Announcements,
    check_announcements,
    check_none_missing,
    size_of_part,
)
from reelay.upload.domain.upload import Kind, Part, State, Upload
from reelay.upload.handlers.creation import NewUpload
from reelay.upload.handlers.receiving import LOST
from reelay.upload.handlers.uploading import Uploading

AT_ONCE = 50
"""So many links are signed before others get their turn."""


@dataclass(frozen=True)
class Link:
    """How a part is sent."""

    number: int
    request: SignedRequest


@dataclass(frozen=True)
class Presigning:
    """The use cases of `/api/v1/uploads/presigned`."""

    announcements: Announcements
    store: ObjectStore
    uploading: Uploading
    check_store: Callable[[], Awaitable[None]]
    """Raises PresignedUnsupportedError when the store takes other bytes than were signed."""
    expires_s: float
    """How long a link can be used."""

    def check(self, size_bytes: int, announced: Sequence[Announcement]) -> None:
        """Raise what is wrong with an order, before anything is begun for it.

        That is EmptyUploadError, TooLargeError or NoSuchPartError.
        """
        self.uploading.limits.check_size(size_bytes)
        check_announcements(size_bytes, announced)

    async def begin(
        self, identity: Identity, size_bytes: int, video_id: UUID | None, filename: str | None
    ) -> Upload:
        """Note an upload whose parts its client will send to the store.

        Raises PresignedUnsupportedError, and what beginning an upload raises.
        """
        identity.require("upload")
        await self.check_store()
        name = clean_filename(filename or "")
        metadata = format_metadata(video_id=video_id, filename=name)
        new = NewUpload(size_bytes, metadata, Concatenation(Kind.PRESIGNED))
        upload = await self.uploading.creation.begin(identity, new)
        try:
            attempt = await self.store.begin_parts(upload.source_key, signed=True)
        except StoreUnavailableError:
            await self.uploading.receiving.end(upload, State.TERMINATED)
            raise
        begun = upload.moved_to(0, attempt=attempt)
        return await self.uploading.uploads.advance(upload, begun)

    async def links(
        self, identity: Identity, upload_id: UUID, announced: Sequence[Announcement]
    ) -> list[Link]:
        """Note the digests of parts; return a link for each. Asking again gives new ones.

        Raises NoSuchPartError, OtherDigestError, and UploadCompleteError.
        """
        upload = await self._living(identity, upload_id)
        assert upload.size_bytes is not None
        check_announcements(upload.size_bytes, announced)
        if upload.is_whole:
            raise UploadCompleteError
        await self.announcements.announce(upload, announced)
        links = []
        for part in announced:
            links.append(await self._link(upload, part))
            if len(links) % AT_ONCE == 0:
                await asyncio.sleep(0)
        return links

    async def look(self, identity: Identity, upload_id: UUID) -> tuple[Upload, list[int]]:
        """Return an upload in whatever state, and the numbers of the parts that are stored."""
        upload = await self._own(identity, upload_id)
        if upload.state is not State.RECEIVING or upload.is_whole or upload.attempt is None:
            return upload, []
        try:
            stored = await self.store.list_parts(upload.source_key, upload.attempt)
        except AttemptMissingError:
            return upload, []
        return upload, [part.number for part in stored]

    async def complete(self, identity: Identity, upload_id: UUID) -> Upload:
        """Make one object of the stored parts, and announce it; return the upload as complete.

        Once more changes nothing. Raises PartsMissingError, NotMediaError, UploadGoneError, and
        UploadLockedError while another request completes it.
        """
        await self._living(identity, upload_id)
        async with self.uploading.holding.hold(upload_id):
            upload = await self._living(identity, upload_id)
            if upload.state is State.COMPLETE:
                return upload
            if not upload.waits_to_be_finished:
                upload = await self.announcements.confirm(upload, await self._stored(upload))
            return await self.uploading.receiving.finish(upload)

    async def withdraw(self, identity: Identity, upload_id: UUID) -> None:
        """End an unfinished upload; one that ended without a file stays as it is.

        Raises UploadCompleteError when it is complete.
        """
        upload = await self._own(identity, upload_id)
        if upload.state not in (State.REFUSED, State.TERMINATED):
            await self.uploading.withdraw(identity, upload_id)

    async def _link(self, upload: Upload, part: Announcement) -> Link:
        assert upload.size_bytes is not None
        request = await self.store.presign_part(
            upload.source_key,
            upload.attempt or "",
            part.number,
            part.sha256.hex(),
            self.expires_s,
            size_bytes=size_of_part(upload.size_bytes, part.number),
        )
        return Link(part.number, request)

    async def _stored(self, upload: Upload) -> list[Part]:
        """Return all parts, as the store has them; what it has, it has checked itself."""
        assert upload.size_bytes is not None
        try:
            listed = await self.store.list_parts(upload.source_key, upload.attempt or "")
        except AttemptMissingError as error:
            await self.uploading.receiving.end(upload, State.TERMINATED)
            raise UploadGoneError(LOST) from error
        stored = {
            part.number: part.tag
            for part in listed
            if part.size_bytes == size_of_part(upload.size_bytes, part.number)
        }
        announced = await self.uploading.uploads.parts(upload.id)
        found = [
            Part(part.number, part.digest, stored[part.number])
            for part in announced
            if part.number in stored
        ]
        check_none_missing(upload.size_bytes, {part.number for part in found})
        return found

    async def _living(self, identity: Identity, upload_id: UUID) -> Upload:
        upload = await self.uploading.own(identity, upload_id)
        if upload.kind is not Kind.PRESIGNED:
            raise UploadMissingError("There is no such presigned upload.")
        return upload

    async def _own(self, identity: Identity, upload_id: UUID) -> Upload:
        upload = await self.uploading.find_own(identity, upload_id)
        if upload.kind is not Kind.PRESIGNED:
            raise UploadMissingError("There is no such presigned upload.")
        return upload
