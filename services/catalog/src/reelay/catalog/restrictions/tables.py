"""The tables of packages: which videos refer to them, and who may fetch them."""

from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import BigInteger
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel


class ReferenceRow(SQLModel, table=True):
    """A package that a video has or had; what it had is as secret as what it has."""

    __tablename__: ClassVar[Any] = "package_references"

    package_id: str = Field(primary_key=True)
    video_id: UUID = Field(primary_key=True)


class AccessRow(SQLModel, table=True):
    """Who may fetch a package; absent for one that is open to all and always was."""

    __tablename__: ClassVar[Any] = "package_access"

    package_id: str = Field(primary_key=True)
    access: str
    video_ids: list[str] = Field(default_factory=list, sa_type=JSONB)
    """With a token: the videos whose tokens are good."""
    revision: int = Field(sa_type=BigInteger)
    """Grows with every change of any package."""
    published: int = Field(default=0, sa_type=BigInteger)
    """The revision that others were told."""
