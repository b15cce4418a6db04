"""What events and commands have in common: a subject, a version, a CloudEvents type."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Message(BaseModel):
    """Something that one service tells others."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    subject: ClassVar[str]
    version: ClassVar[int] = 1

    @classmethod
    def ce_type(cls) -> str:
        """Return the CloudEvents type, which carries the schema version."""
        return f"reelay.{cls.__name__}.v{cls.version}"

    def to_subject(self) -> str:
        """Return the subject that this message is published on."""
        return self.subject
