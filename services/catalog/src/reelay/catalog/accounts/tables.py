"""The table of signing keys."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Column, DateTime, func
from sqlmodel import Field, SQLModel


class SigningKeyRow(SQLModel, table=True):
    """A private key; the one named `current` signs."""

    __tablename__: ClassVar[Any] = "signing_keys"

    name: str = Field(primary_key=True)
    private_key_pem: str
    created_at: datetime | None = Field(
        default=None,
        sa_column=Column(DateTime(timezone=True), server_default=func.now(), nullable=False),
    )
