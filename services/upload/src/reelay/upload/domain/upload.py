"""An upload: one client's way of sending one file, in as many requests as it takes."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Self
from uuid import UUID

from reelay.common.identity import PART_SIZE_BYTES


class Kind(StrEnum):
    """What an upload is for (tus 1.0, section Concatenation)."""

    WHOLE = "whole"
    """One file."""
    PARTIAL = "partial"
    """A piece of a file, to be joined with others."""
    FINAL = "final"
    """One file, made of partial uploads."""
    IMPORTED = "imported"
    """One file, which the service fetches from another server."""
    PRESIGNED = "presigned"
    """One file, whose parts its client sends to the store."""


class State(StrEnum):
    """How far an upload is; only the first two may change."""

    RECEIVING = "receiving"
    STORED = "stored"
    """A partial upload whose bytes have all come, and wait for their final upload."""
    JOINED = "joined"
    """A partial upload whose bytes are those of a complete final upload now."""
    COMPLETE = "complete"
    REFUSED = "refused"
    """What came is no video or audio file."""
    TERMINATED = "terminated"
    """Withdrawn by its client, or expired."""


@dataclass(frozen=True)
class Part:
    """A stored part of an upload."""

    number: int
    """Counted from 1."""
    digest: bytes
    """SHA-256 of its bytes, 32 bytes."""
    tag: str
    """What the object store calls it."""


@dataclass(frozen=True)
class Upload:
    """What is durably known of an upload; bytes before `offset_bytes` can no longer be lost."""

    id: UUID
    owner_id: str
    size_bytes: int | None
    """None as long as the client has not told (tus 1.0, Upload-Defer-Length)."""
    kind: Kind = Kind.WHOLE
    final_id: UUID | None = None
    """Of a partial upload: the final one that joins it, as soon as there is one."""
    video_id: UUID | None = None
    filename: str | None = None
    metadata: str = ""
    """Upload-Metadata as the client sent it."""
    offset_bytes: int = 0
    state: State = State.RECEIVING
    recognised: bool = False
    """Whether the first bytes were found to be those of a video or audio file."""
    attempt: str | None = None
    """The store's name of the multipart upload, from the first full part on."""
    tail_key: str | None = None
    """Object that holds the bytes after the last full part."""
    kept_key: str | None = None
    """When complete: the object that holds the bytes, this upload's own or an earlier one's."""
    asset_id: str | None = None
    """When complete: the identity of its bytes."""
    refusal: str | None = None
    """Why it was refused, as a sentence for people."""
    origin_url: str | None = None
    """Of an import: where the file is."""
    updated_at: datetime | None = None

    @property
    def source_key(self) -> str:
        """Object that holds all bytes in the end."""
        return f"{self.staging_prefix}whole" if self.is_partial else f"sources/{self.id}"

    @property
    def staging_prefix(self) -> str:
        """Start of the keys of what is not a file of its own: tails, and partial uploads."""
        return f"staging/uploads/{self.id}/"

    @property
    def next_part(self) -> int:
        """Number of the part that the next byte belongs to."""
        return self.offset_bytes // PART_SIZE_BYTES + 1

    @property
    def tail_bytes(self) -> int:
        """Number of bytes after the last full part."""
        return self.offset_bytes % PART_SIZE_BYTES

    @property
    def is_partial(self) -> bool:
        """Whether this is a piece of a file."""
        return self.kind is Kind.PARTIAL

    @property
    def takes_requests(self) -> bool:
        """Whether a client sends its bytes to this service."""
        return self.kind in (Kind.WHOLE, Kind.PARTIAL)

    @property
    def is_whole(self) -> bool:
        """Whether all bytes came."""
        return self.offset_bytes == self.size_bytes

    @property
    def may_expire(self) -> bool:
        """Whether it is removed when nobody goes on with it."""
        return self.state in (State.RECEIVING, State.STORED)

    @property
    def fits_in_one_part(self) -> bool:
        """Whether the file is stored by one plain put."""
        small = self.size_bytes is not None and self.size_bytes <= PART_SIZE_BYTES
        return small and self.attempt is None

    @property
    def waits_to_be_finished(self) -> bool:
        """Whether all bytes are stored but not yet joined and announced."""
        return self.state is State.RECEIVING and self.is_whole

    @property
    def waits_to_be_joined(self) -> bool:
        """Whether this is a final upload that does not hold all of its pieces yet."""
        return self.state is State.RECEIVING and self.kind is Kind.FINAL

    def has_room_for(self, more_bytes: int) -> bool:
        """Tell whether so many bytes more can follow."""
        return self.size_bytes is None or self.offset_bytes + more_bytes <= self.size_bytes

    def moved_to(
        self, offset_bytes: int, *, tail_key: str | None = None, attempt: str | None = None
    ) -> Self:
        """Return this upload with durable bytes up to `offset_bytes`."""
        return replace(
            self,
            offset_bytes=offset_bytes,
            tail_key=tail_key,
            attempt=attempt or self.attempt,
        )

    def as_recognised(self) -> Self:
        """Return this upload as one whose first bytes are those of a video or audio file."""
        return replace(self, recognised=True)

    def with_length(self, size_bytes: int) -> Self:
        """Return this upload with the length that its client deferred."""
        return replace(self, size_bytes=size_bytes)
