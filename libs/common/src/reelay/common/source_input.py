"""How FFmpeg may read a source."""

from collections.abc import Callable
from dataclasses import dataclass


def nothing_can_fail() -> None:
    """A file is all there."""


@dataclass(frozen=True)
class SourceInput:
    """Where FFmpeg finds the bytes of a source, and the only protocols that it may use."""

    url: str
    protocols: str
    """Separated by commas, as `-protocol_whitelist` takes them."""
    check: Callable[[], None] = nothing_can_fail
    """Raises StoreUnavailableError or ObjectMissingError when the store did not give all that was
    asked for: FFmpeg takes the source for shorter than it is then."""
