"""The packager's tables."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, MetaData, SQLModel

metadata = MetaData()


class PackagerTable(SQLModel):
    """Base that keeps these tables apart from other services' in one process."""

    metadata = metadata


class PackageRow(PackagerTable, table=True):
    """A package: its plan, and what of it is stored."""

    __tablename__ = "packages"

    package_id: str = Field(primary_key=True)
    asset_id: str = Field(index=True)
    owner_id: str
    source_key: str = Field(index=True)
    plan: dict[str, Any] = Field(sa_type=JSONB)
    state: str = Field(
        description="planned, complete, failed, cancelled, superseded or condemned", index=True
    )
    reason: str | None = None
    stored: dict[str, str] = Field(
        sa_type=JSONB, description="rendition → stored segments, a bit set in hexadecimal"
    )
    segments_stored: int = 0
    segments_total: int
    playable: bool = False
    warnings: list[str] = Field(sa_type=JSONB)
    root_digest: str | None = None
    size_bytes: int | None = None
    created_at: datetime = Field(sa_type=sa.DateTime(timezone=True))
    unreferenced_at: datetime | None = Field(
        default=None,
        sa_type=sa.DateTime(timezone=True),
        description="since when no video needs it",
    )
    superseded_by: str | None = Field(default=None, description="package that replaces it")


class TurnRow(PackagerTable, table=True):
    """The virtual time of an owner, or of the present round, in fair queueing."""

    __tablename__ = "turns"

    kind: str = Field(
        primary_key=True, description="owner or round; the same of rewriting, with a prefix"
    )
    name: str = Field(primary_key=True, description="the owner; empty for the round")
    virtual_time: float


class PackageTurn(PackagerTable, table=True):
    """The turn of a package that is being made, among its owner's."""

    __tablename__ = "package_turns"

    package_id: str = Field(primary_key=True)
    owner_id: str
    virtual_time: float
    since: datetime = Field(sa_type=sa.DateTime(timezone=True))
    waits: bool = Field(
        description="false when all of it is stored or under way, as a decision found"
    )


class PackageReference(PackagerTable, table=True):
    """A video that needs a package."""

    __tablename__ = "package_references"

    package_id: str = Field(primary_key=True)
    video_id: UUID = Field(primary_key=True)
    owner_id: str | None = Field(
        default=None, description="of the video; not known of those an earlier version noted"
    )


class DeletedVideo(PackagerTable, table=True):
    """A tombstone: a late request for a deleted video must not bring its reference back."""

    __tablename__ = "deleted_videos"

    video_id: UUID = Field(primary_key=True)


class RewriteRow(PackagerTable, table=True):
    """A video's source that has no index, until it is rewritten and planned, or refused."""

    __tablename__ = "rewrites"

    video_id: UUID = Field(primary_key=True)
    source_key: str = Field(primary_key=True)
    asset_id: str = Field(index=True)
    owner_id: str
    size_bytes: int = Field(sa_type=sa.BigInteger)
    requested_at: datetime = Field(sa_type=sa.DateTime(timezone=True))
    due_at: datetime = Field(
        sa_type=sa.DateTime(timezone=True),
        description="when anybody may take it: it waits, or whoever has it may have been killed",
        index=True,
    )
    taken_by: UUID | None = Field(default=None, description="of each taking another")
    attempts: int = 0


class ObjectRow(PackagerTable, table=True):
    """An object of a package that is stored under its final name."""

    __tablename__ = "objects"

    package_id: str = Field(primary_key=True)
    path: str = Field(primary_key=True)
    size_bytes: int
    sha256: str
    made_first: int | None = Field(
        default=None, description="first and last segment that one run of an encoder made"
    )
    made_last: int | None = None


class TaskRow(PackagerTable, table=True):
    """A chunk that was dispatched and is not made yet."""

    __tablename__ = "tasks"

    task_id: UUID = Field(primary_key=True)
    package_id: str = Field(index=True)
    owner_id: str
    lane: str
    provider: str
    renditions: list[str] = Field(sa_type=JSONB)
    first: int
    last: int
    attempt: int = 1
    dispatched_at: datetime = Field(sa_type=sa.DateTime(timezone=True))
    progressed_at: datetime | None = Field(
        default=None,
        sa_type=sa.DateTime(timezone=True),
        description="when a segment that this attempt made was last stored; opening lane only",
    )
