"""Viewers who come to any position: what is not made yet is made for them first."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import simpy
from simpy.events import ProcessGenerator

from benchmarks.simulation.measures import Waits
from benchmarks.simulation.package import Package
from benchmarks.simulation.workload import Viewer
from reelay.common.commands import Lane
from reelay.content_api.handlers.waiting import WaitingLimits
from reelay.packager.domain.chunks import AHEAD_SEGMENTS, Chunk, ahead_chunk, ondemand_chunk
from reelay.packager.domain.window import ahead_window, ondemand_window

REPEATED_S = WaitingLimits.repeat_s
"""How often a demand is repeated while somebody waits."""


@dataclass
class Viewing:
    """All viewers of a day. They see the lowest rung, the first that a player asks for."""

    env: simpy.Environment
    waits: Waits
    encoders: int
    send: Callable[[Package, Chunk], None]
    news: Callable[[], None]
    """Called whenever somebody waits for a segment that nobody waited for."""
    left: Callable[[], None]
    """Called whenever a viewer has left."""
    ahead: int = AHEAD_SEGMENTS
    """How many segments are made ahead of a viewer; 0: none."""
    watching: int = 0
    _arrivals: dict[tuple[int, int], simpy.Event] = field(default_factory=dict)
    _demands: deque[tuple[Package, int]] = field(default_factory=deque)
    _under_way: int = 0
    _aheads: int = 0

    def begin(self, package: Package) -> None:
        """Let a package's viewers come: it can be played."""
        for viewer in package.video.viewers:
            self.watching += 1
            self.env.process(self._watch(package, viewer))

    def _watch(self, package: Package, viewer: Viewer) -> ProcessGenerator:
        yield self.env.timeout(viewer.after_s)
        segments = package.video.segments
        first = min(segments, 1 + int(viewer.position * segments))
        came_s, missing = self.env.now, not package.is_watchable(first)
        due_s, stalled = 0.0, False
        for number in range(first, min(segments, first + viewer.segments - 1) + 1):
            while not package.is_watchable(number):
                self._demand(package, number)
                yield self._arrival(package, number) | self.env.timeout(REPEATED_S)
            due_s = max(due_s, self.env.now) if number == first else due_s
            stalled = stalled or self.env.now > due_s
            if number == first and missing:
                self.waits.seek.append(self.env.now - came_s)
            due_s += package.shape.segment_s(number)
        self.waits.seeks += 1
        self.waits.stalls += stalled
        self.watching -= 1
        self.left()

    def _arrival(self, package: Package, number: int) -> simpy.Event:
        """Return the event of a segment's arrival."""
        return self._arrivals.setdefault((package.video.number, number), self.env.event())

    def _demand(self, package: Package, number: int) -> None:
        """Ask for a segment: the next decision sees it, and one is taken soon if it is news."""
        package.focus = (number, self.env.now)
        if (package, number) not in self._demands:
            self._demands.append((package, number))
        if (package.video.number, number) not in self._arrivals:
            self.news()

    def dispatch(self) -> None:
        """Queue what viewers wait for up to its window, then what runs ahead of them."""
        asked: dict[Package, None] = {}
        waits: deque[tuple[Package, int]] = deque()
        for package, number in self._demands:
            if package.is_watchable(number) or package.is_coming(number, self.env.now):
                continue
            asked[package] = None
            if self._under_way < ondemand_window(self.encoders):
                self._make(package, number)
            else:
                waits.append((package, number))
        self._demands = waits
        for package in asked:
            if self._aheads >= ahead_window(self.encoders):
                break
            self._run_ahead(package)

    def _make(self, package: Package, number: int) -> None:
        names = {
            name
            for name, last in package.shape.opening
            if number <= last and not package.stored.get(name, 0) >> (number - 1) & 1
        }
        chunk = ondemand_chunk(package.shape.plan, package.stored_or_urgent(), number, names)
        self._under_way += 1
        self._send(package, chunk)

    def _run_ahead(self, package: Package) -> None:
        """Make the lowest rung ahead of a viewer who is being served, one chunk at a time."""
        if not self.ahead or {chunk.lane for chunk in package.urgent} != {Lane.ONDEMAND}:
            return
        number, _ = package.focus
        chunk = ahead_chunk(package.shape.plan, package.stored_or_urgent(), number, self.ahead)
        if chunk is not None:
            self._aheads += 1
            self._send(package, chunk)

    def _send(self, package: Package, chunk: Chunk) -> None:
        package.take(chunk)
        package.urgent[chunk] = self.env.now
        self.send(package, chunk)

    def arrived(self, package: Package, part: Chunk, ended: Chunk | None) -> None:
        """Wake those who waited for segments that are stored now; their chunk may have ended."""
        if ended is not None and ended.lane == Lane.ONDEMAND:
            self._under_way -= 1
        elif ended is not None and ended.lane == Lane.OPENING and ended.first > 1:
            self._aheads -= 1
        for number in range(part.first, part.last + 1) if self._arrivals else ():
            key = (package.video.number, number)
            if key in self._arrivals and package.is_watchable(number):
                self._arrivals.pop(key).succeed()
