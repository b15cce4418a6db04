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
from reelay.packager.domain.chunks import Chunk, ahead_chunk, ondemand_chunk
from reelay.packager.domain.window import ahead_window, ondemand_window

REPEATED_S = 0.5
"""How often a demand is repeated while somebody waits (DESIGN, decision 2)."""


@dataclass
class Viewing:
    """All viewers of a day. They see the lowest rung, the first that a player asks for."""

    env: simpy.Environment
    waits: Waits
    encoders: int
    send: Callable[[Package, Chunk], None]
    left: Callable[[], None]
    """Called whenever a viewer has left."""
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
        """Ask for a segment, unless it comes soon, and let the lowest rung run ahead of it."""
        package.focus = (number, self.env.now)
        if package.is_coming(number, self.env.now):
            return
        if (package, number) not in self._demands:
            self._demands.append((package, number))
        self._dispatch()
        lanes = {chunk.lane for chunk in package.urgent}
        if lanes == {Lane.ONDEMAND} and self._aheads < ahead_window(self.encoders):
            ahead = ahead_chunk(package.shape.plan, package.stored_or_urgent(), number)
            if ahead is not None:
                self._aheads += 1
                self._send(package, ahead)

    def _dispatch(self) -> None:
        """Queue demanded segments up to the window."""
        while self._demands and self._under_way < ondemand_window(self.encoders):
            package, number = self._demands.popleft()
            if package.is_watchable(number) or package.is_coming(number, self.env.now):
                continue
            names = {name for name, last in package.shape.opening if number <= last}
            self._under_way += 1
            chunk = ondemand_chunk(package.shape.plan, package.taken, number, names)
            self._send(package, chunk)

    def _send(self, package: Package, chunk: Chunk) -> None:
        package.take(chunk)
        package.urgent[chunk] = self.env.now
        self.send(package, chunk)

    def arrived(self, package: Package, part: Chunk, ended: Chunk | None) -> None:
        """Wake those who waited for segments that are stored now; their chunk may have ended."""
        if ended is not None and ended.lane == Lane.ONDEMAND:
            self._under_way -= 1
            self._dispatch()
        elif ended is not None and ended.lane == Lane.OPENING and ended.first > 1:
            self._aheads -= 1
        for number in range(part.first, part.last + 1) if self._arrivals else ():
            key = (package.video.number, number)
            if key in self._arrivals and package.is_watchable(number):
                self._arrivals.pop(key).succeed()
