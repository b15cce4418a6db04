"""Which chunk of a package is made next: runs of segments that are neither stored nor under way."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reelay.common.commands import Lane
from reelay.packager.domain.plan import Plan, Rendition

OPENING_SEGMENTS = 4
"""The ramp and one steady segment: 8 s of the lowest rung and the audio."""

LADDER_SEGMENTS = 4
"""Segments of a ladder chunk: 16 s, so that starting FFmpeg and pre-rolling cost little."""


@dataclass(frozen=True)
class Chunk:
    """Segments `first` to `last` (both included) of some renditions, made by one process."""

    lane: Lane
    provider: str
    renditions: tuple[str, ...]
    first: int
    last: int

    @property
    def bits(self) -> int:
        """The segments as a bit set; bit 0 is segment 1."""
        return ((1 << self.last) - 1) & ~((1 << (self.first - 1)) - 1)


def whole(rendition: Rendition) -> int:
    """Return the bit set of all segments of a rendition."""
    return (1 << len(rendition.spans)) - 1


def merge(stored: Mapping[str, int], under_way: Iterable[Chunk]) -> dict[str, int]:
    """Return the segments of each rendition that need no further chunk."""
    taken = dict(stored)
    for chunk in under_way:
        for name in chunk.renditions:
            taken[name] = taken.get(name, 0) | chunk.bits
    return taken


def opening_chunk(plan: Plan, taken: Mapping[str, int]) -> Chunk | None:
    """Return the chunk that makes a package playable, unless it is made or under way."""
    missing = [r for r in plan.opening if not taken.get(r.name, 0) & 1]
    if not missing:
        return None
    last = min(OPENING_SEGMENTS, max(len(r.spans) for r in missing))
    return Chunk(Lane.OPENING, "software", tuple(r.name for r in missing), 1, last)


def ladder_chunk(plan: Plan, taken: Mapping[str, int]) -> Chunk | None:
    """Return the earliest chunk of the ladder that nobody makes; None when there is none.

    All its renditions lack all its segments, and share one provider.
    """
    missing = {r.name: whole(r) & ~taken.get(r.name, 0) for r in plan.renditions}
    providers = dict.fromkeys(r.provider for r in plan.renditions)
    candidates = [
        chunk
        for provider in providers
        if (chunk := _earliest([r for r in plan.renditions if r.provider == provider], missing))
    ]
    return min(candidates, key=lambda chunk: chunk.first, default=None)


def _earliest(renditions: list[Rendition], missing: Mapping[str, int]) -> Chunk | None:
    union = 0
    for rendition in renditions:
        union |= missing[rendition.name]
    if not union:
        return None
    first = (union & -union).bit_length()
    chosen = tuple(r for r in renditions if missing[r.name] >> (first - 1) & 1)
    last = first
    while last - first + 1 < LADDER_SEGMENTS and _same(chosen, renditions, missing, last + 1):
        last += 1
    return Chunk(Lane.LADDER, renditions[0].provider, tuple(r.name for r in chosen), first, last)


def _same(
    chosen: tuple[Rendition, ...],
    renditions: list[Rendition],
    missing: Mapping[str, int],
    number: int,
) -> bool:
    """Tell whether exactly the chosen renditions lack segment `number`.

    Audio that has one segment less than the video ends inside the chunk.
    """
    lacking = {r.name for r in renditions if missing[r.name] >> (number - 1) & 1}
    ended = {r.name for r in chosen if number > len(r.spans)}
    return bool(lacking) and lacking | ended == {r.name for r in chosen}
