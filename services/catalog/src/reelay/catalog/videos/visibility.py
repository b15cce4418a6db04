"""Who may see a video."""

from enum import StrEnum

from reelay.common.tokens import Identity


class Visibility(StrEnum):
    """Who may see a video, besides its owner and administrators."""

    PUBLIC = "public"
    """Everybody; it is listed."""
    UNLISTED = "unlisted"
    """Whoever knows its id."""
    PRIVATE = "private"
    """Nobody."""


def is_own(viewer: Identity | None, owner_id: str) -> bool:
    """Tell whether a video is the viewer's to manage."""
    return viewer is not None and (viewer.subject == owner_id or "admin" in viewer.scopes)


def may_see(viewer: Identity | None, owner_id: str, visibility: str, *, by_id: bool) -> bool:
    """Tell whether a viewer may see a video, of which they know the id, or find it in a list."""
    if visibility == Visibility.PUBLIC or (by_id and visibility == Visibility.UNLISTED):
        return True
    return is_own(viewer, owner_id)
