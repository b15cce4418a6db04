"""What a client can do with an import: begin it, ask how far it is, cancel it."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from uuid import UUID

from reelay.common.tokens import Identity
from reelay.upload.domain.addresses import AddressGuard
from reelay.upload.domain.concatenation import Concatenation
from reelay.upload.domain.errors import UploadMissingError
from reelay.upload.domain.imports import Import, Imports
from reelay.upload.domain.metadata import clean_filename, format_metadata
from reelay.upload.domain.remote import parse_url
from reelay.upload.domain.upload import Kind, State, Upload
from reelay.upload.handlers.creation import NewUpload
from reelay.upload.handlers.uploading import Uploading


@dataclass(frozen=True)
class Importing:
    """The use cases of `/api/v1/imports`."""

    imports: Imports
    uploading: Uploading
    guard: AddressGuard
    wake: Callable[[], None]
    """Called when there is an import to work at."""

    async def begin(
        self, identity: Identity, url: str, video_id: UUID | None, filename: str | None
    ) -> tuple[Upload, Import]:
        """Note an import, which is fetched in the background.

        Raises UrlNotAllowedError, PrivateAddressError when the URL names such an address itself,
        and what beginning an upload raises.
        """
        identity.require("upload")
        place = parse_url(url)
        with suppress(ValueError):  # a name: resolved, and checked, when it is connected to
            self.guard.check(str(ip_address(place.host)))
        name = clean_filename(filename or "") or place.filename
        new = NewUpload(
            None,
            format_metadata(video_id=video_id, filename=name),
            Concatenation(Kind.IMPORTED),
            origin_url=url,
        )
        upload = await self.uploading.creation.begin(identity, new)
        self.wake()
        return upload, Import(upload.id, url)

    async def look(self, identity: Identity, upload_id: UUID) -> tuple[Upload, Import]:
        """Return how far an import is; raise UploadMissingError or ForbiddenError."""
        identity.require("upload")
        job = await self.imports.find(upload_id)
        if job is None:
            raise UploadMissingError("There is no such import.")
        upload = await self.uploading.find_own(identity, upload_id)
        # Again, since it may have failed in between: why is noted before the upload ends.
        return upload, await self.imports.find(upload_id) or job

    async def cancel(self, identity: Identity, upload_id: UUID) -> None:
        """End an import that runs; one that ended without a file stays as it is.

        Raises UploadCompleteError when the file is here already.
        """
        upload, _ = await self.look(identity, upload_id)
        if upload.state not in (State.REFUSED, State.TERMINATED):
            await self.uploading.withdraw(identity, upload_id)
