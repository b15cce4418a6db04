"""What the use cases need of the world outside, beside the object store."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
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


Settle = Callable[[], Awaitable[None]]
"""Gives the object of an upload its bytes, when another request may have left others."""


class Uploads(Protocol):
    """The uploads. Every method is one transaction, which also announces the fact."""

    async def find(self, upload_id: UUID) -> Upload:
        """Return an upload; raise UploadMissingError when there is none."""
        ...

    async def begin(self, upload: Upload) -> Upload:
        """Note a new upload and announce AssetUploadStarted, unless it is a partial one.

        Raises QuotaExceededError and TooManyUploadsError.
        """
        ...

    async def begin_final(self, upload: Upload, partial_ids: Sequence[UUID]) -> Upload:
        """Note a final upload that joins these partial ones in order; return it with its size.

        When the same owner has joined exactly these before, that upload is returned. Raises
        NotJoinableError when one is not there, not whole, or joined to another, ForbiddenError when
        one is somebody else's, and TooLargeError when all are too much together.
        """
        ...

    async def partials(self, final_id: UUID) -> list[Upload]:
        """Return the partial uploads that a final one joins, in order."""
        ...

    async def reserve(self, upload: Upload, end_bytes: int) -> None:
        """Count an upload of unknown length as one of so many bytes, which may be stored then.

        Raises QuotaExceededError.
        """
        ...

    async def advance(self, before: Upload, after: Upload, *parts: Part) -> Upload:
        """Note that `after` is what is durable now, with the parts that were stored for it.

        Raises OvertakenError when the upload no longer stands where `before` says, and
        QuotaExceededError when a deferred length lets it grow too far.
        """
        ...

    async def parts(self, upload_id: UUID) -> list[Part]:
        """Return the stored parts in order."""
        ...

    async def finish(
        self,
        upload: Upload,
        asset_id: str,
        still_stored: Callable[[str], Awaitable[bool]],
        settle: Settle | None = None,
    ) -> tuple[Upload, list[Upload]]:
        """Note that `upload` is whole, and announce AssetUploaded.

        `settle` is called when nobody else can finish the upload any more, and before anybody is
        told.

        Returns it as complete, with the partial ones that it joined. `kept_key` is the object that
        holds the asset: that of the first upload of these bytes as long as `still_stored` says so,
        else this one's. Raises OvertakenError when the upload ended before.
        """
        ...

    async def note_stored(self, upload: Upload, settle: Settle | None = None) -> Upload:
        """Note that all bytes of a partial upload are one object; raise OvertakenError.

        See `finish` for `settle`.
        """
        ...

    async def end(self, upload: Upload, state: State, refusal: str | None = None) -> list[Upload]:
        """Note that an unfinished upload ends so, and announce AssetUploadTerminated.

        A `refusal` says, to a person, why the file is not accepted; it becomes the fact's reason.
        The partial uploads of a final one end with it. Returns all that ended: none when it has
        ended before, or is being joined to another.
        """
        ...

    async def tidied(self, upload: Upload) -> None:
        """Note that nothing is left to remove of an upload that ended."""
        ...

    def unfinished_business(self) -> AsyncIterator[Upload]:
        """Yield what a crash left: whole but not finished, not joined, or ended but not tidied."""
        ...

    def stale(self, before: datetime) -> AsyncIterator[Upload]:
        """Yield the unfinished uploads that received nothing since `before`."""
        ...

    async def attempts_in_use(self) -> set[str]:
        """Return the store's names of the attempts whose parts unfinished uploads may need."""
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
