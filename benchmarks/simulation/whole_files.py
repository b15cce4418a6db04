"""What is usual elsewhere: one queue of whole files, first come, first served, one worker each."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import simpy
from simpy.events import ProcessGenerator

from benchmarks.simulation.measures import Ledger, Waits
from benchmarks.simulation.service_times import ServiceTimes
from benchmarks.simulation.workload import DAY_S, Video


@dataclass
class WholeFiles:
    """A day of uploads to so many workers, each of which keeps a file until all of it is made.

    A file plays when its whole ladder is made; with `lowest_first` when its lowest rung is, which
    the worker makes in a pass of its own. No worker ever fails: a file of ten hours would hardly
    ever be finished otherwise.
    """

    times: ServiceTimes
    encoders: int
    videos: Sequence[Video]
    lowest_first: bool = False
    day_s: float = DAY_S
    env: simpy.Environment = field(default_factory=simpy.Environment)
    waits: Waits = field(default_factory=Waits)

    def __post_init__(self) -> None:
        self.workers = simpy.Resource(self.env, self.encoders)
        self.ledger = Ledger(self.day_s)
        self._waiting: Counter[int] = Counter()
        self._unfinished: Counter[int] = Counter()

    def run(self) -> Waits:
        """Simulate until every file is made."""
        self.env.process(self._uploads())
        self.env.run()
        self.waits.videos = len(self.videos)
        self.waits.fairness = self.ledger.indices()
        return self.waits

    def _uploads(self) -> ProcessGenerator:
        for video in self.videos:
            yield self.env.timeout(max(0.0, video.arrival_s + self.times.plan_s - self.env.now))
            self.env.process(self._transcode(video))

    def _transcode(self, video: Video) -> ProcessGenerator:
        queued_s = self.env.now
        alone = not self._unfinished[video.owner]
        self._unfinished[video.owner] += 1
        self._wait(video.owner, 1)
        with self.workers.request() as worker:
            yield worker
            self._wait(video.owner, -1)
            begun_s = self.env.now
            self.waits.queue.append(begun_s - queued_s)
            if alone:
                self.waits.first_work.append(begun_s - queued_s)
            first_s, rest_s = self._passes_s(video)
            yield self.env.timeout(first_s)
            self.waits.note_first_frame(video, self.env.now + self._packaging_s(video))
            yield self.env.timeout(rest_s)
        self._unfinished[video.owner] -= 1
        self.ledger.note_served(video.owner, begun_s, self.env.now)
        self.waits.ready.append(self.env.now + self._packaging_s(video) - video.arrival_s)

    def _passes_s(self, video: Video) -> tuple[float, float]:
        """Return the time until the file plays, and that until all the rest is made."""
        source = self.times.sources[video.height]
        if not self.lowest_first:
            return video.content * self.times.file_s(video.height, video.duration_s), 0.0
        lowest_s = source.fixed_s + video.duration_s * source.lowest_rate
        upper_s = source.fixed_s + video.duration_s * source.upper_rate
        return video.content * lowest_s, video.content * upper_s

    def _packaging_s(self, video: Video) -> float:
        """One call for the whole file: what a viewer waits for after encoding."""
        return self.times.packaging_s(video.segments) + self.times.hops_s

    def _wait(self, owner: int, change: int) -> None:
        before = self._waiting[owner]
        self._waiting[owner] += change
        if (before == 0) != (self._waiting[owner] == 0):
            self.ledger.note_waiting(owner, before == 0, self.env.now)


def offered(times: ServiceTimes, encoders: int, videos: Sequence[Video], day_s: float) -> float:
    """Return the work of the videos ÷ what all encoders can do in a day."""
    work_s = sum(v.content * times.file_s(v.height, v.duration_s) for v in videos)
    return work_s / (encoders * day_s)
