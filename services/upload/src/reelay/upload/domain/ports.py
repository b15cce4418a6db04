"""What the use cases need of the world outside, beside the object store."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from reelay.upload.domain.hold import Hold
from reelay.upload.domain.upload import Part, State, Upload


@dataclass(frozen=True)
class Draft:
    """A video that waits for its file."""

    video_id: UUID
    owner_id: str
    deleted: bool = False


class Drafts(Protocol):
    """The drafts that the catalog told of."""

    async def find(self, video_id: UUID) -> Draft | None:
        """Return a draft, or None as long as nothing is known of it."""
        ...

    async def know(self, video_id: UUID, owner_id: str) -> None:
        """Note a draft; one that was deleted before stays deleted."""
        ...

    async def forget(self, video_id: UUID) -> None:
        """Note that a video was deleted, whether it was known or not."""
        ...


class Uploads(Protocol):
    """The uploads. Every method is one transaction, which also announces the fact."""

    async def find(self, upload_id: UUID) -> Upload:
        """Return an upload; raise UploadMissingError when there is none."""
        ...

    async def begin(self, upload: Upload) -> Upload:
        """Note a new upload and announce AssetUploadStarted."""
        ...

    async def advance(self, before: Upload, after: Upload, part: Part | None = None) -> Upload:
        """Note that `after` is what is durable now, with the part that was stored for it.

        Raises OvertakenError when the upload no longer stands where `before` says.
        """
        ...

    async def parts(self, upload_id: UUID) -> list[Part]:
        """Return the stored parts in order."""
        ...

    async def finish(
        self, upload: Upload, asset_id: str, still_stored: Callable[[str], Awaitable[bool]]
    ) -> str:
        """Note that `upload` is whole, and announce AssetUploaded.

        Returns the object that holds the asset: that of the first upload of these bytes as long as
        `still_stored` says so, else this one's. Raises OvertakenError when the upload ended before.
        """
        ...

    async def end(self, upload: Upload, state: State, refusal: str | None = None) -> bool:
        """Note that an unfinished upload ends so, and announce AssetUploadTerminated.

        A `refusal` says, to a person, why the file is not accepted; it becomes the fact's reason.
        Returns False when it has ended before.
        """
        ...

    async def tidied(self, upload: Upload) -> None:
        """Note that nothing is left to remove of an upload that ended."""
        ...

    def unfinished_business(self) -> AsyncIterator[Upload]:
        """Yield the uploads that a crash left: whole but not finished, or ended but not tidied."""
        ...

    def stale(self, before: datetime) -> AsyncIterator[Upload]:
        """Yield the unfinished uploads that received nothing since `before`."""
        ...

    async def forget_ended(self, before: datetime) -> int:
        """Remove what is known of uploads that ended without an asset before then; count them."""
        ...


class Holding(Protocol):
    """Lets one request at a time, in all replicas together, change an upload."""

    def hold(self, upload_id: UUID, *, urgent: bool = False) -> AbstractAsyncContextManager[Hold]:
        """Hold an upload for the block; raise UploadLockedError when another request keeps it.

        A request that is stalled, or any when `urgent`, is asked to let go, and waited for shortly.
        """
        ...

    async def settled(self, upload_id: UUID) -> None:
        """Wait shortly for a stalled or ending request on an upload, so that its offset is final.

        Returns at once while bytes come in.
        """
        ...
