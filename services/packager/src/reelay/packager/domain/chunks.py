"""Which chunk of a package is made next: runs of segments that are neither stored nor under way."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reelay.common.commands import Lane
from reelay.packager.domain.plan import Plan, Rendition
from reelay.packager.domain.timeline import RAMP

OPENING_SEGMENTS = len(RAMP)
"""The ramp: 4 s of the lowest rung and the audio; while it plays, a player that is there asks for
more (docs/decisions/0007)."""

AHEAD_SEGMENTS = 4
"""How far the lowest rung is made ahead of a viewer who came to where nothing is: 16 s."""

DECODE_SHARE = 0.4
AUDIO_COST = 0.02
PIXELS = 1920 * 1080
"""Cost of decoding a pixel and of a second of sound, in terms of encoding a 1080p pixel; the pixels
of such a picture."""


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


def is_made(plan: Plan, stored: Mapping[str, int], chunk: Chunk) -> bool:
    """Tell whether all segments of a chunk are stored."""
    return not any(
        chunk.bits & whole(plan.rendition(name)) & ~stored.get(name, 0) for name in chunk.renditions
    )


def opening_chunk(plan: Plan, taken: Mapping[str, int]) -> Chunk | None:
    """Return the chunk that makes a package playable, unless it is made or under way."""
    missing = [r for r in plan.opening if not taken.get(r.name, 0) & 1]
    if not missing:
        return None
    last = min(OPENING_SEGMENTS, max(len(r.spans) for r in missing))
    return Chunk(Lane.OPENING, "software", tuple(r.name for r in missing), 1, last)


def ondemand_chunk(plan: Plan, taken: Mapping[str, int], number: int, names: set[str]) -> Chunk:
    """Return the chunk of one demanded segment: the demanded renditions, and the sound with them.

    A player that fetches the picture needs the sound as well, and it costs next to nothing.
    """
    chosen = [r for r in plan.renditions if r.name in names]
    audio = plan.audio_rendition
    if audio and audio not in chosen and not _has(taken, audio, number):
        chosen.append(audio)
    return Chunk(Lane.ONDEMAND, chosen[0].provider, tuple(r.name for r in chosen), number, number)


def ahead_chunk(
    plan: Plan, taken: Mapping[str, int], after: int, most: int = AHEAD_SEGMENTS
) -> Chunk | None:
    """Return what runs ahead of a viewer at segment `after`: the lowest rung and the sound.

    It has `most` segments. None when the next segment is made or under way.
    """
    missing = [r for r in plan.opening if not _has(taken, r, after + 1)]
    if not missing:
        return None
    last = after + 1
    while last - after < most and all(not _has(taken, r, last + 1) for r in missing):
        last += 1
    return Chunk(Lane.OPENING, "software", tuple(r.name for r in missing), after + 1, last)


def _has(taken: Mapping[str, int], rendition: Rendition, number: int) -> bool:
    """Tell whether a segment is stored or under way, or lies beyond the end."""
    return number > len(rendition.spans) or bool(taken.get(rendition.name, 0) >> (number - 1) & 1)


def chunk_cost(plan: Plan, chunk: Chunk) -> float:
    """Return what a chunk costs, in seconds of 1080p encoding: decoded once, encoded per rung."""
    spans = plan.timeline.video()[chunk.first - 1 : chunk.last]
    seconds = float(sum(span.frames for span in spans) / plan.timeline.rate)
    chosen = [plan.rendition(name) for name in chunk.renditions]
    decoding = decode_cost(plan) if any(r.rung for r in chosen) else 0.0
    return seconds * (AUDIO_COST + decoding + sum(map(encode_cost, chosen)))


def decode_cost(plan: Plan) -> float:
    """Return what a second of decoding costs, in seconds of 1080p encoding."""
    video = plan.source.video
    return DECODE_SHARE * video.width * video.height / PIXELS if video else 0.0


def encode_cost(rendition: Rendition) -> float:
    """Return what encoding a second of pictures costs, in the same terms; 0 for sound."""
    rung = rendition.rung
    return rung.width * rung.height / PIXELS if rung else 0.0
