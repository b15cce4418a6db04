"""The map of a package: what is promised, stored and under way, by rendition and time."""

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from reelay.common.commands import Lane

SEGMENT = re.compile(r"(?P<folder>.+)/(?P<file>init\.mp4|[1-9][0-9]{0,8}\.m4s)")


@dataclass(frozen=True)
class Rendition:
    """One track of the plan; its segments are counted from 1."""

    name: str
    kind: str
    """`video` or `audio`."""
    path: str
    """Folder of its objects, relative to the package."""
    ends_s: tuple[float, ...]
    """When each segment ends, in seconds from the start of the package."""

    @property
    def whole(self) -> int:
        """The bit set of all its segments; bit 0 is segment 1."""
        return (1 << len(self.ends_s)) - 1

    def start_s(self, number: int) -> float:
        """Return when a segment begins; 0 for numbers that there are not."""
        return self.ends_s[number - 2] if 2 <= number <= len(self.ends_s) + 1 else 0.0

    def number_at(self, time_s: float) -> int:
        """Return the number of the segment that plays at `time_s`."""
        return min(bisect_right(self.ends_s, time_s) + 1, len(self.ends_s))


@dataclass(frozen=True)
class Package:
    """What the plan and the media playlists promise."""

    package_id: str
    renditions: tuple[Rendition, ...]
    """As planned: video rungs, lowest first, then audio."""

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(rendition.name for rendition in self.renditions)

    @cached_property
    def top_down(self) -> tuple[Rendition, ...]:
        """Highest rung first, audio last."""
        video = [rendition for rendition in self.renditions if rendition.kind == "video"]
        return (*reversed(video), *(r for r in self.renditions if r.kind != "video"))

    @cached_property
    def opening(self) -> tuple[str, ...]:
        """What must have its first segment before players can start: lowest rung and audio."""
        video = [rendition.name for rendition in self.renditions if rendition.kind == "video"]
        return (*video[:1], *(r.name for r in self.renditions if r.kind != "video"))

    @cached_property
    def duration_s(self) -> float:
        """Length of the longest rendition."""
        return max((r.ends_s[-1] for r in self.renditions if r.ends_s), default=0.0)

    @cached_property
    def _by_name(self) -> dict[str, Rendition]:
        return {rendition.name: rendition for rendition in self.renditions}

    def rendition(self, name: str) -> Rendition:
        """Return a rendition; raises KeyError."""
        return self._by_name[name]

    def locate(self, path: str) -> tuple[Rendition, int] | None:
        """Return the promised segment that a path names, with number 0 for the init segment."""
        found = SEGMENT.fullmatch(path)
        if found is None:
            return None
        rendition = next((r for r in self.renditions if r.path == found["folder"]), None)
        number = 0 if found["file"] == "init.mp4" else int(found["file"].removesuffix(".m4s"))
        if rendition is None or number > len(rendition.ends_s):
            return None
        return rendition, number


@dataclass(frozen=True)
class News:
    """Something that happened, in words."""

    at: float
    """Seconds since the epoch."""
    text: str


@dataclass(frozen=True)
class Viewer:
    """Who waits for a segment now, or was sent it last."""

    rendition: str
    number: int
    position_s: float
    count: int = field(default=1, compare=False)
    """How many they are."""
    waits: bool = True


@dataclass(frozen=True)
class Row:
    """One rendition of the map."""

    rendition: Rendition
    stored: int
    """Bit set of the stored segments; bit 0 is segment 1."""
    encoding: Mapping[Lane, int]
    """Bit sets of the segments that encoders were asked for and that are not stored."""

    @property
    def total(self) -> int:
        return len(self.rendition.ends_s)


@dataclass(frozen=True)
class PackageMap:
    """All that is known at one moment."""

    package: Package
    title: str
    state: str
    """`planned`, `playable`, `ready` or `failed`."""
    reason: str
    """Why it failed; meaningful only then."""
    rows: tuple[Row, ...]
    """Highest rung first, audio last."""
    viewers: tuple[Viewer, ...] = ()
    encoders: int = 0
    elapsed_s: float | None = None
    """Time since the plan until now or the end; None when the plan's time is not known."""
    news: tuple[News, ...] = field(default=())
    """Newest first."""

    @property
    def stored(self) -> int:
        return sum(row.stored.bit_count() for row in self.rows)

    @property
    def total(self) -> int:
        return sum(row.total for row in self.rows)

    @property
    def progress(self) -> float:
        """Stored share of all segments, 0..1."""
        return self.stored / self.total if self.total else 0.0


def bit_range(first: int, last: int) -> int:
    """Return the bit set of segments `first` to `last`, both included; it may be empty."""
    first = max(first, 1)
    return ((1 << (last - first + 1)) - 1) << (first - 1) if last >= first else 0


def lowest(bits: int) -> int:
    """Return the lowest number in a bit set; 0 when it is empty."""
    return (bits & -bits).bit_length()


def runs(bits: int) -> Iterator[tuple[int, int]]:
    """Yield first and last number of each run of consecutive segments in a bit set."""
    done = 0
    while bits:
        skipped = lowest(bits) - 1
        bits >>= skipped
        length = lowest(~bits) - 1
        bits >>= length
        yield done + skipped + 1, done + skipped + length
        done += skipped + length
