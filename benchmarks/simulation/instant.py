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
from benchmarks.simulation.packagers import DispatchLock, Packagers, replicas
from benchmarks.simulation.service_times import DEMANDED_S, OPENING_S, ServiceTimes
from benchmarks.simulation.turns import Turns
from benchmarks.simulation.viewing import Viewing
from benchmarks.simulation.workload import DAY_S, Video
from reelay.common.commands import Lane
from reelay.packager.domain.chunks import AHEAD_SEGMENTS, Chunk, opening_chunk
from reelay.packager.domain.window import ladder_window, opening_window
from reelay.packager.handlers.packaging import BATCH


@dataclass
class Instant:
    """A day of uploads to Reelay with so many encoders."""

    times: ServiceTimes
    encoders: int
    videos: Sequence[Video]
    seed: int = 0
    mean_between_failures_s: float | None = DAY_S
    day_s: float = DAY_S
    ahead: int = AHEAD_SEGMENTS
    """See Viewing."""
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
        self._window = ladder_window(self.encoders)
        self._chance = random.Random(f"{self.seed} failures")
        self._in_work = 0
        """Packages that are planned and not complete."""
        self.lock = DispatchLock(self.env, lambda: self.times.dispatch_s(self._in_work))
        self.packagers = Packagers(
            self.env, self.times, replicas(self.encoders), self.lock, self._decide,
            lambda: self._in_work > 0, self._chance,
        )  # fmt: skip
        self.viewing = Viewing(
            self.env,
            self.waits,
            self.encoders,
            self.send,
            self.packagers.demand,
            self._check_end,
            self.ahead,
        )
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
        self.waits.lock_share = self.lock.busiest_hour
        return self.waits

    def _uploads(self) -> ProcessGenerator:
        """Let videos be planned; what planning takes on an idle system contains a decision."""
        before_s = max(0.0, self.times.plan_s - self.times.dispatch_s(1))
        for video in self.videos:
            yield self.env.timeout(max(0.0, video.arrival_s + before_s - self.env.now))
            self.env.process(self._plan(video))

    def _plan(self, video: Video) -> ProcessGenerator:
        """Begin with the opening; what else there is waits for its first segment, or the upkeep.

        A package that cannot be opened at once does not: it takes its turn of the ladder.
        """
        package = Package(video, shape(video.height, video.segments), self.env.now)
        yield from self.lock.decide(lambda: self._admit(package))
        if not package.urgent:
            yield from self.lock.decide(self._decide)

    def _admit(self, package: Package) -> None:
        owner = package.video.owner
        package.alone = not self._unfinished[owner]
        self._unfinished[owner] += 1
        self._in_work += 1
        self.packages.append(package)
        self.turns.admit(package)
        is_next = not (self._opening and any(map(_has_closed, self._unopened.values())))
        if is_next and self._opening < opening_window(self.encoders):
            self._open(package)
        else:
            self._unopened[owner].append(package)

    def _decide(self) -> None:
        """Queue openings, what viewers wait for, and the ladder, each up to its window."""
        self._open_next()
        self.viewing.dispatch()
        while self.outstanding < self._window:
            turn = self.turns.next(self.env.now, alone=self._in_work == 1)
            if turn is None:
                return
            self.outstanding += 1
            self.send(*turn)

    def _open_next(self) -> None:
        """Queue openings up to their window: next is whose owner had none for the longest."""
        while self._unopened and self._opening < opening_window(self.encoders):
            owner = min(self._unopened, key=self._opening_turn)
            package = self._unopened[owner].popleft()
            if not self._unopened[owner]:
                del self._unopened[owner]
            self._open(package)

    def _open(self, package: Package) -> None:
        """Queue a package's opening, unless the ladder has made it meanwhile."""
        chunk = opening_chunk(package.shape.plan, package.stored_or_urgent())
        if chunk is None:
            return
        self._opened[package.video.owner] = next(self._openings)
        self._opening += 1
        package.take(chunk)
        package.urgent[chunk] = self.env.now
        self.send(package, chunk)

    def _opening_turn(self, owner: int) -> tuple[int, float]:
        return self._opened.get(owner, 0), self._unopened[owner][0].created_s

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

        A ladder chunk comes in parts of as many segments as are packaged together, which saves
        events; chunks of other lanes segment by segment.
        """
        height, shape = package.video.height, package.shape
        source, lowest = self.times.sources[height], shape.lowest
        begin_s, rate = source.fixed_s, source.rate(chunk.renditions, lowest)
        if chunk.lane == Lane.ONDEMAND and lowest in chunk.renditions:
            begin_s = source.ondemand_s - DEMANDED_S * rate
        elif chunk.lane == Lane.OPENING and chunk.first == 1:
            rate = (source.opening_s - source.first_segment_s) / (OPENING_S - 1)
            begin_s = source.first_segment_s - rate
        step = max(1, BATCH // len(chunk.renditions)) if chunk.lane == Lane.LADDER else 1
        parts = [
            replace(chunk, first=n, last=min(n + step - 1, chunk.last))
            for n in range(chunk.first, chunk.last + 1, step)
        ]
        works = [rate * shape.seconds(part) for part in parts]
        return list(zip([works[0] + begin_s, *works[1:]], parts, strict=True))

    def _ladder_begins(self, package: Package, waited_s: float) -> None:
        self.waits.queue.append(waited_s)
        if not package.begun:
            package.begun = True
            if package.alone:
                self.waits.first_work.append(self.env.now - package.created_s)

    def _made(self, package: Package, part: Chunk, chunk: Chunk, ran_s: float) -> None:
        """Hand what an encoder made to the packagers."""
        urgent = part.lane != Lane.LADDER
        if not urgent:
            self.ledger.note_served(package.video.owner, self.env.now - ran_s, self.env.now)
        count = len(part.renditions) * (part.last - part.first + 1)
        self.packagers.package(count, partial(self._stored, package, part, chunk), urgent=urgent)

    def _stored(self, package: Package, part: Chunk, chunk: Chunk) -> bool:
        """Note a part of a chunk; tell whether it makes room for another."""
        package.store(part)
        ends = part.last == chunk.last
        begins = package.playable_s is None and package.is_watchable(1)
        if ends and part.lane == Lane.LADDER:
            self.outstanding -= 1
        if begins:
            self._playable(package)
        package.note_progress(chunk, self.env.now, ends=ends)
        if ends and chunk.lane == Lane.OPENING and chunk.first == 1:
            self._opening -= 1
        self.viewing.arrived(package, part, chunk if ends else None)
        if package.ready_s is None and package.all_stored:
            package.ready_s = self.env.now
            self.waits.ready.append(self.env.now - package.video.arrival_s)
            self._unfinished[package.video.owner] -= 1
            self._in_work -= 1
            self._unready -= 1
        self._check_end()
        return ends or begins

    def _check_end(self) -> None:
        if not self._unready and not self.viewing.watching and not self._end.triggered:
            self._end.succeed()

    def _playable(self, package: Package) -> None:
        package.playable_s = self.env.now
        self.waits.note_first_frame(package.video, self.env.now)
        self.viewing.begin(package)


def _has_closed(waiting: deque[Package]) -> bool:
    """Tell whether any of an owner's packages that wait for their opening is not playable yet."""
    return any(package.playable_s is None for package in waiting)


def _ignore(package: Package, waited_s: float) -> None:
    pass
