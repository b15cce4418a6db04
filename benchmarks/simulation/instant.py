"""Reelay's own scheduling: lanes, a window, turns, and viewers who seek."""

import itertools
import random
from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import simpy
from simpy.events import ProcessGenerator

from benchmarks.simulation.fleet import LANES, Fleet, Job
from benchmarks.simulation.measures import Ledger, Waits
from benchmarks.simulation.package import Package, shape
from benchmarks.simulation.service_times import ServiceTimes
from benchmarks.simulation.turns import Turns
from benchmarks.simulation.viewing import Viewing
from benchmarks.simulation.workload import DAY_S, Video
from reelay.common.commands import Lane
from reelay.packager.domain.chunks import Chunk, opening_chunk
from reelay.packager.domain.window import ladder_window, opening_window

BATCH = 16
"""Segments that the packager gives to one call at most (reelay.packager.handlers.packaging)."""
LINGER_S = 0.5
"""How long ladder segments wait for each other (reelay.packager.handlers.packaging)."""
OPENING_S = 8
"""Length of the opening lane's chunk that `calibrate` measures."""


@dataclass
class Instant:
    """A day of uploads to Reelay with so many encoders."""

    times: ServiceTimes
    encoders: int
    videos: Sequence[Video]
    seed: int = 0
    mean_between_failures_s: float | None = DAY_S
    day_s: float = DAY_S
    env: simpy.Environment = field(default_factory=simpy.Environment)
    waits: Waits = field(default_factory=Waits)
    packages: list[Package] = field(default_factory=list)
    outstanding: int = 0
    """Ladder chunks that are dispatched and not stored."""

    def __post_init__(self) -> None:
        self.fleet = Fleet(self.env, self.encoders)
        self.ledger = Ledger(self.day_s)
        self.turns = Turns(
            self.encoders, lambda who, on: self.ledger.note_waiting(who, on, self.env.now)
        )
        self.viewing = Viewing(self.env, self.waits, self.encoders, self.send, self._check_end)
        self._window = ladder_window(self.encoders)
        self._chance = random.Random(f"{self.seed} failures and packaging")
        self._call_s = self.times.packaging_s(BATCH)
        self._end = self.env.event()
        self._unfinished: Counter[int] = Counter()
        self._unopened: dict[int, deque[Package]] = defaultdict(deque)
        self._opened: dict[int, int] = {}
        """The number of the last opening of each owner."""
        self._openings = itertools.count(1)
        self._opening = 0
        self._unready = len(self.videos)

    def run(self) -> Waits:
        """Simulate until everything is stored and everybody has watched."""
        self.env.process(self._uploads())
        if self.mean_between_failures_s:
            self.env.process(self.fleet.failures(self.mean_between_failures_s, self._chance))
        if self.videos:
            self.env.run(until=self._end)
        self.waits.videos = len(self.videos)
        self.waits.killed = self.fleet.killed
        self.waits.fairness = self.ledger.indices()
        return self.waits

    def _uploads(self) -> ProcessGenerator:
        for video in self.videos:
            yield self.env.timeout(video.arrival_s + self.times.plan_s - self.env.now)
            self._plan(video)

    def _plan(self, video: Video) -> None:
        alone = not self._unfinished[video.owner]
        self._unfinished[video.owner] += 1
        package = Package(video, shape(video.height, video.segments), self.env.now, alone)
        self.packages.append(package)
        self._unopened[video.owner].append(package)
        self._open()
        self.turns.admit(package)
        self._dispatch()

    def _open(self) -> None:
        """Queue openings up to their window: next is whose owner had none for the longest."""
        while self._unopened and self._opening < opening_window(self.encoders):
            owner = min(self._unopened, key=self._opening_turn)
            package = self._unopened[owner].popleft()
            if not self._unopened[owner]:
                del self._unopened[owner]
            self._opened[owner] = next(self._openings)
            self._opening += 1
            opening = opening_chunk(package.shape.plan, package.taken)
            assert opening is not None
            package.take(opening)
            package.urgent[opening] = self.env.now
            self.send(package, opening)

    def _opening_turn(self, owner: int) -> tuple[int, float]:
        return self._opened.get(owner, 0), self._unopened[owner][0].created_s

    def _dispatch(self) -> None:
        """Queue ladder chunks up to the window."""
        while self.outstanding < self._window:
            turn = self.turns.next(self.env.now)
            if turn is None:
                return
            self.outstanding += 1
            self.send(*turn)

    def send(self, package: Package, chunk: Chunk) -> None:
        """Queue a chunk for the encoders."""
        phases = [
            (work_s * package.video.content, partial(self._made, package, part, chunk))
            for work_s, part in self._parts(package, chunk)
        ]
        begin = self._ladder_begins if chunk.lane == Lane.LADDER else _ignore
        self.fleet.submit(Job(LANES.index(chunk.lane), phases, partial(begin, package)))

    def _parts(self, package: Package, chunk: Chunk) -> list[tuple[float, Chunk]]:
        """Return what an encoder finishes one after the other, and how long each takes.

        Segments of the ladder count when their whole chunk is made, which saves events.
        """
        height, shape = package.video.height, package.shape
        if chunk.lane == Lane.LADDER:
            seconds = shape.seconds(chunk)
            whole_s = self.times.chunk_s(height, shape.lowest, chunk.renditions, seconds)
            return [(whole_s, chunk)]
        source = self.times.sources[height]
        begin_s, rate = source.fixed_s, source.rate(chunk.renditions, shape.lowest)
        if chunk.first == 1:
            rate = (source.opening_s - source.first_segment_s) / (OPENING_S - 1)
            begin_s = source.first_segment_s - rate
        parts = [replace(chunk, first=n, last=n) for n in range(chunk.first, chunk.last + 1)]
        works = [rate * shape.segment_s(part.first) for part in parts]
        return list(zip([works[0] + begin_s, *works[1:]], parts, strict=True))

    def _ladder_begins(self, package: Package, waited_s: float) -> None:
        self.waits.queue.append(waited_s)
        if not package.begun:
            package.begun = True
            if package.alone:
                self.waits.first_work.append(self.env.now - package.created_s)

    def _made(self, package: Package, part: Chunk, chunk: Chunk, ran_s: float) -> None:
        """Package what an encoder made; a call is always under way when it comes."""
        delay_s = (1 + self._chance.random()) * self._call_s + self.times.hops_s
        if part.lane == Lane.LADDER:
            delay_s += LINGER_S
            self.ledger.note_served(package.video.owner, self.env.now - ran_s, self.env.now)
        stored = self.env.timeout(delay_s)
        stored.callbacks.append(lambda _: self._stored(package, part, chunk))

    def _stored(self, package: Package, part: Chunk, chunk: Chunk) -> None:
        package.store(part)
        if part.lane == Lane.LADDER:
            self.outstanding -= 1
        if package.playable_s is None and package.is_watchable(1):
            self._playable(package)
        ends = part.last == chunk.last
        if ends:
            package.urgent.pop(chunk, None)
            if chunk.lane == Lane.OPENING and chunk.first == 1:
                self._opening -= 1
                self._open()
        self.viewing.arrived(package, part, chunk if ends else None)
        if package.ready_s is None and package.all_stored:
            package.ready_s = self.env.now
            self.waits.ready.append(self.env.now - package.video.arrival_s)
            self._unfinished[package.video.owner] -= 1
            self._unready -= 1
        self._dispatch()
        self._check_end()

    def _check_end(self) -> None:
        if not self._unready and not self.viewing.watching and not self._end.triggered:
            self._end.succeed()

    def _playable(self, package: Package) -> None:
        package.playable_s = self.env.now
        self.waits.note_first_frame(package.video, self.env.now)
        self.viewing.begin(package)


def _ignore(package: Package, waited_s: float) -> None:
    pass
