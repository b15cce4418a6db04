"""An import: an upload whose bytes the service fetches itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True)
class Import:
    """What is known of an import beside its upload, which has the same id."""

    upload_id: UUID
    url: str
    validator: str | None = None
    """What If-Range may say (RFC 9110, section 13.1.5) of the bytes that are stored."""
    tries: int = 0
    """Tries in a row that brought next to nothing."""
    trouble: str | None = None
    """What went wrong at last, as a sentence for people."""
    problem: str | None = None
    """The name of what went wrong at last."""
    failure: str | None = None
    """The name of what it fails of; noted before the upload ends. Of bytes that are found to be no
    video's the upload alone knows."""
    running_s: float = 0.0
    """Time since the first try began."""


class Imports(Protocol):
    """The imports. Every method is one transaction."""

    async def find(self, upload_id: UUID) -> Import | None:
        """Return an import, or None when this is no import's id."""
        ...

    async def claim(self, number: int, lease_s: float) -> Sequence[Import]:
        """Take up to so many imports that nobody works at for `lease_s`, oldest first."""
        ...

    async def renew(self, upload_id: UUID, lease_s: float) -> None:
        """Let nobody else take an import for so long from now."""
        ...

    async def note_validator(self, upload_id: UUID, validator: str | None) -> None:
        """Note what names the bytes that will be stored."""
        ...

    async def put_off(
        self,
        upload_id: UUID,
        pause_s: float,
        *,
        tries: int,
        trouble: str | None,
        problem: str | None,
    ) -> None:
        """Give an import back, to be taken up again after a pause."""
        ...

    async def note_failure(self, upload_id: UUID, failure: str) -> None:
        """Note the name of why an import fails."""
        ...
