"""How much one file may have, and how much one user may take."""

from dataclasses import dataclass

from reelay.common.identity import MAX_ASSET_BYTES
from reelay.upload.domain.errors import (
    EmptyUploadError,
    QuotaExceededError,
    TooLargeError,
    TooManyUploadsError,
)

UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


@dataclass(frozen=True)
class Usage:
    """What a user's uploads take: bytes of stored files and those promised to unfinished ones."""

    taken_bytes: int = 0
    unfinished: int = 0


@dataclass(frozen=True)
class Limits:
    """None means: without limit."""

    max_size_bytes: int = MAX_ASSET_BYTES
    quota_bytes: int | None = None
    max_unfinished: int | None = None

    @property
    def per_user(self) -> bool:
        """Whether a user's usage matters at all."""
        return self.quota_bytes is not None or self.max_unfinished is not None

    def check_size(self, size_bytes: int) -> None:
        """Raise EmptyUploadError or TooLargeError unless a file may have so many bytes."""
        if size_bytes == 0:
            raise EmptyUploadError
        if size_bytes > self.max_size_bytes:
            said = f"{self.max_size_bytes} bytes ({in_words(self.max_size_bytes)})"
            raise TooLargeError(f"Files may have at most {said}.")

    def check_room(self, usage: Usage, more_bytes: int) -> None:
        """Raise QuotaExceededError unless a user may store so many bytes more."""
        if self.quota_bytes is not None and usage.taken_bytes + more_bytes > self.quota_bytes:
            raise QuotaExceededError(
                f"Your uploads may take {in_words(self.quota_bytes)} in all; "
                f"{in_words(usage.taken_bytes)} are taken, and this file needs "
                f"{in_words(more_bytes)} more. Delete a video, or ask an administrator for room."
            )

    def check_number(self, usage: Usage) -> None:
        """Raise TooManyUploadsError unless a user may begin one upload more."""
        if self.max_unfinished is not None and usage.unfinished >= self.max_unfinished:
            raise TooManyUploadsError(
                f"You have {usage.unfinished} unfinished uploads, and may have "
                f"{self.max_unfinished} at a time: finish or withdraw one first."
            )


def in_words(size_bytes: int) -> str:
    """Return a number of bytes as people read it, rounded to three digits."""
    value, unit = float(size_bytes), 0
    while value >= 1000 and unit < len(UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{size_bytes} bytes" if unit == 0 else f"{value:.3g} {UNITS[unit]}"
