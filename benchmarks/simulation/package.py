"""A package under way, planned and cut into chunks by the packager's own domain code."""

from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache, cached_property

from benchmarks.simulation.workload import Video
from reelay.packager.domain.chunks import Chunk, chunk_cost, merge, whole
from reelay.packager.domain.coming import comes_soon
from reelay.packager.domain.demand import FOCUS_S
from reelay.packager.domain.ladder_chunks import ladder_chunk
from reelay.packager.domain.plan import Plan, make_plan
from reelay.packager.domain.source import AudioFacts, SourceFacts, VideoFacts

RATE = Fraction(25)


@dataclass(frozen=True)
class Shape:
    """The plan of all videos of one size and length."""

    height: int
    segments: int

    @cached_property
    def plan(self) -> Plan:
        """The plan as the packager makes it."""
        ramp = min(self.segments, 3)
        end_s = Fraction(4 * (self.segments - 2) if ramp == 3 else ramp)
        width = self.height * 16 // 9
        picture = VideoFacts(0, "h264", width, self.height, RATE, end_s, False, False)
        sound = AudioFacts(1, "aac", 48_000, 2, end_s)
        return make_plan("simulated", SourceFacts("mov", picture, sound, 0.5), {})

    @cached_property
    def whole(self) -> dict[str, int]:
        """All segments of each rendition."""
        return {rendition.name: whole(rendition) for rendition in self.plan.renditions}

    @cached_property
    def opening(self) -> tuple[tuple[str, int], ...]:
        """The lowest rung and the sound: names and numbers of segments."""
        return tuple((r.name, len(r.spans)) for r in self.plan.opening)

    @property
    def lowest(self) -> str:
        """Name of the lowest rung."""
        return self.opening[0][0]

    @cached_property
    def edges_s(self) -> list[float]:
        """When each segment begins, and the end."""
        spans = self.plan.renditions[0].spans
        return [float(span.first / RATE) for span in spans] + [float(self.plan.timeline.duration_s)]

    def segment_s(self, number: int) -> float:
        """Return the length of a segment."""
        return self.edges_s[number] - self.edges_s[number - 1]

    def seconds(self, chunk: Chunk) -> float:
        """Return the length of a chunk."""
        return self.edges_s[min(chunk.last, self.segments)] - self.edges_s[chunk.first - 1]


@cache
def shape(height: int, segments: int) -> Shape:
    """Return the shape of a video; there are few enough to keep them all."""
    return Shape(height, segments)


_COSTS: dict[tuple[int, tuple[str, ...], float], float] = {}


@dataclass(slots=True, eq=False)
class Package:
    """What is stored and under way of one video."""

    video: Video
    shape: Shape
    created_s: float
    alone: bool = True
    """Whether its owner had nothing else under way when it came."""
    stored: dict[str, int] = field(default_factory=dict)
    taken: dict[str, int] = field(default_factory=dict)
    """Stored or under way."""
    urgent: dict[Chunk, float] = field(default_factory=dict)
    """Under way in a lane above the ladder, and when each was sent."""
    progressed: dict[Chunk, float] = field(default_factory=dict)
    """When a segment of each of these was last stored."""
    virtual_time: float = 0.0
    """What was dispatched of the ladder, in fair queueing."""
    focus: tuple[int, float] = (0, 0.0)
    """The segment that a viewer asked for last, and when."""
    begun: bool = False
    """Whether an encoder has begun with the ladder."""
    playable_s: float | None = None
    ready_s: float | None = None

    def next_ladder_chunk(
        self, now_s: float, encoders: int, *, alone: bool = False
    ) -> Chunk | None:
        """Return the ladder's next chunk: where viewers are, or the earliest.

        `alone` tells that no other package is unfinished.
        """
        number, heard_s = self.focus
        focus = number if number and now_s - heard_s <= FOCUS_S else 1
        return ladder_chunk(self.shape.plan, self.taken, focus, encoders, alone=alone)

    def take(self, chunk: Chunk) -> None:
        """Note that a chunk is under way."""
        for name in chunk.renditions:
            bits = chunk.bits & self.shape.whole[name]
            self.taken[name] = self.taken.get(name, 0) | bits

    def store(self, chunk: Chunk) -> None:
        """Note that a chunk's segments are stored."""
        for name in chunk.renditions:
            bits = chunk.bits & self.shape.whole[name]
            self.stored[name] = self.stored.get(name, 0) | bits
            self.taken[name] = self.taken.get(name, 0) | bits

    def is_watchable(self, number: int) -> bool:
        """Whether a segment of the lowest rung is stored, with its sound."""
        return all(
            number > segments or self.stored.get(name, 0) >> (number - 1) & 1
            for name, segments in self.shape.opening
        )

    def is_coming(self, number: int, now_s: float) -> bool:
        """Whether a segment of the lowest rung is being made in a lane above the ladder."""
        stored = self.stored.get(self.shape.lowest, 0)
        return any(
            comes_soon(
                chunk,
                number,
                stored,
                age_s=now_s - sent_s,
                quiet_s=now_s - self.progressed[chunk] if chunk in self.progressed else None,
            )
            for chunk, sent_s in self.urgent.items()
            if chunk.first <= number <= chunk.last
        )

    def note_progress(self, chunk: Chunk, now_s: float, *, ends: bool) -> None:
        """Note that a segment of a chunk is stored; its last one ends it."""
        if ends:
            self.urgent.pop(chunk, None)
            self.progressed.pop(chunk, None)
        elif chunk in self.urgent:
            self.progressed[chunk] = now_s

    def stored_or_urgent(self) -> dict[str, int]:
        """Return the segments that are stored or under way above the ladder."""
        return merge(self.stored, self.urgent)

    @property
    def all_taken(self) -> bool:
        """Whether nothing is left to dispatch."""
        return self.taken == self.shape.whole

    @property
    def all_stored(self) -> bool:
        """Whether the whole ladder is there."""
        return self.stored == self.shape.whole

    def cost(self, chunk: Chunk) -> float:
        """Return the packager's own estimate of a chunk's cost; equal ones are computed once."""
        key = (self.shape.height, chunk.renditions, self.shape.seconds(chunk))
        if key not in _COSTS:
            _COSTS[key] = chunk_cost(self.shape.plan, chunk)
        return _COSTS[key]
