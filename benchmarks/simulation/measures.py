"""What people notice: distributions of waits, and how evenly owners are served."""

from array import array
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from math import ceil, floor

from benchmarks.simulation.workload import DAY_S, Video

SLICE_S = 1800.0


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that `share` of all do not exceed; NaN of none."""
    if not values:
        return float("nan")
    return sorted(values)[max(0, ceil(share * len(values)) - 1)]


def jain(rates: Sequence[float]) -> float:
    """Return Jain's fairness index: 1 when all are equal, 1/n when one has everything.

    Jain, Chiu and Hawe, DEC-TR-301 (1984).
    """
    squares = sum(rate * rate for rate in rates)
    return sum(rates) ** 2 / (len(rates) * squares) if squares else 1.0


@dataclass
class Ledger:
    """Which owners waited for encoders in which half hour, and what each of them got."""

    day_s: float = DAY_S
    served: dict[int, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))
    waiting: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    since: dict[int, float] = field(default_factory=dict)

    def note_waiting(self, owner: int, begins: bool, now_s: float) -> None:
        """Note that an owner begins to have, or has no more, work that waits for an encoder."""
        if begins:
            self.since[owner] = now_s
            return
        begin_s = self.since.pop(owner)
        last = min(floor(now_s / SLICE_S), floor(self.day_s / SLICE_S))
        for number in range(ceil(begin_s / SLICE_S), last):
            self.waiting[number].append(owner)

    def note_served(self, owner: int, begin_s: float, end_s: float) -> None:
        """Note that an encoder worked for an owner."""
        last = min(ceil(end_s / SLICE_S), floor(self.day_s / SLICE_S))
        for number in range(floor(begin_s / SLICE_S), last):
            part = min(end_s, (number + 1) * SLICE_S) - max(begin_s, number * SLICE_S)
            got = self.served[number]
            got[owner] = got.get(owner, 0.0) + part

    def indices(self) -> list[float]:
        """Return Jain's index of each half hour in which two or more owners waited throughout.

        Compared is what they got meanwhile, in encoder seconds.
        """
        return [
            jain([self.served[number].get(owner, 0.0) for owner in owners])
            for number, owners in sorted(self.waiting.items())
            if len(owners) > 1
        ]


@dataclass
class Waits:
    """What a simulated day came to; times in seconds."""

    videos: int = 0
    first_frame: "array[float]" = field(default_factory=lambda: array("f"))
    first_frame_at: "array[float]" = field(default_factory=lambda: array("f"))
    """When the upload of each value of `first_frame` ended, in seconds of the day."""
    first_frame_single: "array[float]" = field(default_factory=lambda: array("f"))
    """Of videos that did not come with many others of their owner."""
    ready: "array[float]" = field(default_factory=lambda: array("f"))
    queue: "array[float]" = field(default_factory=lambda: array("f"))
    """Of ladder chunks in the work queue, or of files."""
    first_work: "array[float]" = field(default_factory=lambda: array("f"))
    """From the plan until an encoder begins with the ladder, or the file; of owners who have
    nothing else under way."""
    seek: "array[float]" = field(default_factory=lambda: array("f"))
    """From a viewer's arrival where nothing was made until the first segment."""
    seeks: int = 0
    stalls: int = 0
    """Viewers whose picture stopped."""
    killed: int = 0
    lock_share: float = 0.0
    """Share of the busiest hour for which the dispatch lock was held."""
    fairness: list[float] = field(default_factory=list)

    def note_first_frame(self, video: Video, now_s: float) -> None:
        """Note that a video can be played."""
        self.first_frame.append(now_s - video.arrival_s)
        self.first_frame_at.append(video.arrival_s)
        if not video.bulk:
            self.first_frame_single.append(now_s - video.arrival_s)

    @classmethod
    def together(cls, days: Iterable["Waits"]) -> "Waits":
        """Return several days as one."""
        all_of = cls()
        for day in days:
            all_of.videos += day.videos
            all_of.seeks += day.seeks
            all_of.stalls += day.stalls
            all_of.killed += day.killed
            all_of.lock_share = max(all_of.lock_share, day.lock_share)
            all_of.fairness += day.fairness
            for own in fields(all_of):
                if isinstance(values := getattr(all_of, own.name), array):
                    values.extend(getattr(day, own.name))
        return all_of
