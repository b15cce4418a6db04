"""Begins uploads: who may, to which draft, of which size."""

import asyncio
from dataclasses import dataclass
from uuid import UUID

from reelay.common.errors import ForbiddenError
from reelay.common.identity import MAX_ASSET_BYTES, new_id
from reelay.common.tokens import Identity
from reelay.upload.domain.errors import EmptyUploadError, TooLargeError, UnknownVideoError
from reelay.upload.domain.metadata import describe_file, parse_metadata
from reelay.upload.domain.ports import Draft, Drafts, Uploads
from reelay.upload.domain.upload import Upload

DRAFT_PATIENCE_S = 2.0
"""How long the news of a draft may be on its way when its upload begins already."""
FIRST_POLL_S = 0.02
LAST_POLL_S = 0.2


@dataclass(frozen=True)
class Creation:
    """Begins uploads."""

    drafts: Drafts
    uploads: Uploads

    async def begin(self, identity: Identity, size_bytes: int, metadata: str) -> Upload:
        """Note a new upload.

        Raises EmptyUploadError, TooLargeError, InvalidMetadataError, UnknownVideoError, and
        ForbiddenError when the draft is somebody else's.
        """
        if size_bytes == 0:
            raise EmptyUploadError
        if size_bytes > MAX_ASSET_BYTES:
            raise TooLargeError(f"Files may have at most {MAX_ASSET_BYTES} bytes (78 GiB).")
        file = describe_file(parse_metadata(metadata))
        if file.video_id is not None:
            draft = await self._draft(file.video_id)
            if draft.owner_id != identity.subject and "admin" not in identity.scopes:
                raise ForbiddenError("This draft is somebody else's.")
        upload = Upload(
            id=new_id(),
            owner_id=identity.subject,
            size_bytes=size_bytes,
            video_id=file.video_id,
            filename=file.filename,
            metadata=metadata,
        )
        return await self.uploads.begin(upload)

    async def _draft(self, video_id: UUID) -> Draft:
        """Return a draft, waiting for its news shortly; raise UnknownVideoError."""
        loop = asyncio.get_running_loop()
        deadline, pause_s = loop.time() + DRAFT_PATIENCE_S, FIRST_POLL_S
        while (draft := await self.drafts.find(video_id)) is None:
            if loop.time() >= deadline:
                raise UnknownVideoError
            await asyncio.sleep(pause_s)
            pause_s = min(LAST_POLL_S, pause_s * 1.5)
        if draft.deleted:
            raise UnknownVideoError("This video was deleted.")
        return draft
