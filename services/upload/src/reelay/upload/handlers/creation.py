"""Begins uploads: who may, to which draft, of which size."""

import asyncio
import time
from dataclasses import dataclass, field
from uuid import UUID

from reelay.common.errors import ForbiddenError
from reelay.common.identity import new_id
from reelay.common.tokens import Identity
from reelay.upload.domain.concatenation import Concatenation
from reelay.upload.domain.errors import DraftNotHeardOfError, UnknownVideoError
from reelay.upload.domain.limits import Limits
from reelay.upload.domain.metadata import describe_file, parse_metadata
from reelay.upload.domain.ports import Draft, Drafts, Uploads
from reelay.upload.domain.upload import Upload

DRAFT_PATIENCE_S = 2.0
"""How long a request waits for the news of its draft. They take milliseconds; when they take more,
a server is away, and a client's next try helps better than a request that is kept open: it is told
so (503) as long as the draft may be new, and only then that there is none (422)."""
NEWS_S = 60.0
"""A draft whose id was made so recently may not be heard of yet."""
FIRST_POLL_S = 0.02
LAST_POLL_S = 0.2


@dataclass(frozen=True)
class NewUpload:
    """What a client wants to send."""

    size_bytes: int | None
    """None when the length is deferred, and for a final upload."""
    metadata: str = ""
    """Upload-Metadata as it came."""
    concatenation: Concatenation = field(default_factory=Concatenation)
    origin_url: str | None = None
    """Where an imported file is."""


@dataclass(frozen=True)
class Creation:
    """Begins uploads."""

    drafts: Drafts
    uploads: Uploads
    limits: Limits

    async def begin(self, identity: Identity, new: NewUpload) -> Upload:
        """Note a new upload.

        Raises EmptyUploadError, TooLargeError, QuotaExceededError, TooManyUploadsError,
        InvalidMetadataError, UnknownVideoError, DraftNotHeardOfError, and ForbiddenError when the
        draft is somebody else's.
        """
        if new.size_bytes is not None:
            self.limits.check_size(new.size_bytes)
        return await self.uploads.begin(await self._described(identity, new))

    async def begin_final(self, identity: Identity, new: NewUpload) -> Upload:
        """Note a new final upload, or find the one that joined the same pieces before.

        Raises NotJoinableError, and what `begin` raises.
        """
        upload = await self._described(identity, new)
        return await self.uploads.begin_final(upload, new.concatenation.partial_ids)

    async def _described(self, identity: Identity, new: NewUpload) -> Upload:
        file = describe_file(parse_metadata(new.metadata))
        if file.video_id is not None:
            draft = await self._draft(file.video_id)
            if draft.owner_id != identity.subject and "admin" not in identity.scopes:
                raise ForbiddenError("This draft is somebody else's.")
        return Upload(
            id=new_id(),
            owner_id=identity.subject,
            size_bytes=new.size_bytes,
            kind=new.concatenation.kind,
            video_id=file.video_id,
            filename=file.filename,
            metadata=new.metadata,
            origin_url=new.origin_url,
        )

    async def _draft(self, video_id: UUID) -> Draft:
        """Return a draft, waiting for its news shortly where there may be any."""
        loop = asyncio.get_running_loop()
        deadline, pause_s = loop.time() + DRAFT_PATIENCE_S, FIRST_POLL_S
        while (draft := await self.drafts.find(video_id)) is None:
            if not _is_new(video_id):
                raise UnknownVideoError
            if loop.time() >= deadline:
                raise DraftNotHeardOfError
            await asyncio.sleep(pause_s)
            pause_s = min(LAST_POLL_S, pause_s * 1.5)
        if draft.deleted:
            raise UnknownVideoError("This video was deleted.")
        return draft


def _is_new(video_id: UUID) -> bool:
    """Tell whether a UUIDv7 was made just now: it begins with the time in ms (RFC 9562, 5.7)."""
    made_s = int.from_bytes(video_id.bytes[:6]) / 1000
    return video_id.version == 7 and abs(time.time() - made_s) < NEWS_S
