"""The tables of videos and of the facts about them."""

from dataclasses import fields
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import JSON, DateTime
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

TIME: Any = DateTime(timezone=True)


class FactTable(SQLModel):
    """Rows that hold the fields of a dataclass of `status`."""

    def give(self, kind: type[Any]) -> Any:
        """Return the row's facts as a `kind`."""
        return kind(**{field.name: getattr(self, field.name) for field in fields(kind)})

    def take(self, facts: Any) -> bool:
        """Store facts in the row; return whether they were news."""
        changed = False
        for field in fields(facts):
            value = getattr(facts, field.name)
            if getattr(self, field.name) != value:
                setattr(self, field.name, value)
                changed = True
        return changed


class VideoRow(FactTable, table=True):
    """A video; a deleted one stays as a tombstone, so that late facts find it deleted."""

    __tablename__: ClassVar[Any] = "videos"

    id: UUID = Field(primary_key=True)
    owner_id: str
    title: str
    description: str = ""
    visibility: str = "public"
    state: str = "draft"
    reason: str | None = None
    asset_id: str | None = None
    package_id: str | None = None
    segments_stored: int = 0
    segments_total: int = 0
    renditions: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    warnings: list[str] = Field(default_factory=list, sa_type=JSONB)
    created_at: datetime = Field(sa_type=TIME)
    updated_at: datetime = Field(sa_type=TIME)
    published_at: datetime | None = Field(default=None, sa_type=TIME)
    deleted_at: datetime | None = Field(default=None, sa_type=TIME)
    revision: int = 0
    """The last entry about this video in the log of changes."""
    withdrawn_revision: int = 0
    """The last entry by which it ceased to be public; 0 when it never did."""


class UploadRow(FactTable, table=True):
    """What is known of one upload to a video."""

    __tablename__: ClassVar[Any] = "video_uploads"

    video_id: UUID = Field(primary_key=True)
    upload_id: UUID = Field(primary_key=True)
    started_at: datetime | None = Field(default=None, sa_type=TIME)
    terminated: bool = False
    refused_at: datetime | None = Field(default=None, sa_type=TIME)
    refusal: str | None = None
    asset_id: str | None = None
    source_key: str | None = None
    uploaded_at: datetime | None = Field(default=None, sa_type=TIME)


class PlanRow(FactTable, table=True):
    """What became of a video's request for the package of one asset."""

    __tablename__: ClassVar[Any] = "video_plans"

    video_id: UUID = Field(primary_key=True)
    asset_id: str = Field(primary_key=True)
    package_id: str | None = None
    planned_at: datetime | None = Field(default=None, sa_type=TIME)
    failed_at: datetime | None = Field(default=None, sa_type=TIME)
    reason: str | None = None
    told_at: datetime | None = Field(default=None, sa_type=TIME)


class PackageRow(FactTable, table=True):
    """How far a package is; known even before a video refers to it."""

    __tablename__: ClassVar[Any] = "package_states"

    package_id: str = Field(primary_key=True)
    segments_stored: int = 0
    segments_total: int = 0
    renditions: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    """Name -> `status.Extent`, in the order of the plan, which JSONB would not keep."""
    playable: bool = False
    root_digest: str | None = None
    """Present when the package is complete."""
    warnings: list[str] = Field(default_factory=list, sa_type=JSONB)
    planned_at: datetime | None = Field(default=None, sa_type=TIME)
    failed_at: datetime | None = Field(default=None, sa_type=TIME)
    reason: str | None = None
    told_at: datetime | None = Field(default=None, sa_type=TIME)
