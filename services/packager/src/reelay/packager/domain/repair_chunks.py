"""How damaged segments of a package are cut: as they were when they were made."""

from collections.abc import Mapping

from reelay.common.commands import Lane
from reelay.packager.domain.chunks import AHEAD_SEGMENTS, Chunk, whole
from reelay.packager.domain.plan import Plan, Rendition

Bounds = tuple[int, int]
"""The first and last segment that one run of an encoder made."""


def repair_chunk(plan: Plan, made: Mapping[str, Bounds], taken: Mapping[str, int]) -> Chunk | None:
    """Return the chunk that once made the first segment that is missing; None when none is.

    The same chunk gives the same bytes on an encoder like the first. `made` tells, by path, the
    first and last segment that came with one; of others nothing is known but themselves.
    """
    for rendition in plan.renditions:
        missing = whole(rendition) & ~taken.get(rendition.name, 0)
        if missing:
            number = (missing & -missing).bit_length()
            first, last = made.get(rendition.segment_path(number), (number, number))
            return Chunk(Lane.LADDER, rendition.provider, (rendition.name,), first, last)
    return None


def demanded_repair_chunk(rendition: Rendition, number: int, made: Bounds | None) -> Chunk | None:
    """Return the chunk that once made a segment that is waited for, in the lane of demanded ones.

    None when it is longer than what is made for a viewer otherwise: every other viewer would wait
    for it, and this one for long, so that it comes with the repair. `made` is as above.
    """
    first, last = made or (number, number)
    if last - first >= AHEAD_SEGMENTS:
        return None
    return Chunk(Lane.ONDEMAND, rendition.provider, (rendition.name,), first, last)
