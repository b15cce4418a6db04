"""The log of changes, from which every replica tells its listeners."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import BigInteger, Column, DateTime, func
from sqlmodel import Field, SQLModel


class NewestRevisionRow(SQLModel, table=True):
    """How many changes there have ever been, in one row."""

    __tablename__: ClassVar[Any] = "newest_revision"

    revision: int = Field(primary_key=True, sa_type=BigInteger)


class ChangeRow(SQLModel, table=True):
    """What a video looked like after one change; kept for some minutes."""

    __tablename__: ClassVar[Any] = "video_changes"

    revision: int = Field(primary_key=True, sa_type=BigInteger)
    video_id: UUID
    kind: str
    body: str
    owner_id: str = ""
    visibility: str = "public"
    withdrawn: bool = False
    changed_at: datetime | None = Field(
        default=None,
        sa_column=Column(DateTime(timezone=True), server_default=func.now(), nullable=False),
    )
