"""The packager's replicas: they package what encoders made, and decide under one lock what is next.

After each batch of segments that makes room, each plan, each news of a demand and every few seconds
a replica decides; one decision at a time, whichever replica takes it, and it takes longer the more
packages are unfinished.

How much goes into a call, and how long a call of the ladder waits to be full, is imported from the
packager. One inbox stands for what all replicas have in hand: that is more than their calls take.
"""

import random
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil

import simpy
from simpy.events import ProcessGenerator

from benchmarks.simulation.service_times import ServiceTimes
from reelay.common.commands import Lane
from reelay.packager.entrypoints.events import AT_ONCE
from reelay.packager.handlers.packaging import BATCH, LINGER_S
from reelay.packager.handlers.upkeep import TICK_S, TICKS_A_LOOK

ENCODERS_A_REPLICA = 100
"""Each makes about a segment a second, and a replica packages more than a hundred."""
URGENT = min(BATCH, AT_ONCE[Lane.ONDEMAND] + AT_ONCE[Lane.OPENING])
"""Segments in one call that viewers may wait for: a replica has no more of them in hand."""
HOUR_S = 3600.0

Do = Callable[[], None]
Store = Callable[[], bool]
"""Notes what was made; tells whether anything can be dispatched instead of it."""


def replicas(encoders: int) -> int:
    """Return how many packagers go with so many encoders."""
    return ceil(encoders / ENCODERS_A_REPLICA)


class DispatchLock:
    """The one lock around decisions, and for how long of each hour it was held."""

    def __init__(self, env: simpy.Environment, hold_s: Callable[[], float]) -> None:
        self._env = env
        self._hold_s = hold_s
        self._lock = simpy.Resource(env, 1)
        self._held_s: dict[int, float] = defaultdict(float)

    def decide(self, do: Do) -> ProcessGenerator:
        """Wait for the lock, hold it for a decision, and do what was decided."""
        with self._lock.request() as turn:
            yield turn
            held_s = self._hold_s()
            self._held_s[int(self._env.now // HOUR_S)] += held_s
            yield self._env.timeout(held_s)
            do()

    @property
    def busiest_hour(self) -> float:
        """The share of the time for which it was held in the hour in which that was most."""
        return max(self._held_s.values(), default=0.0) / HOUR_S


@dataclass(slots=True)
class _Part:
    """Segments of a chunk that were made together, and what is to be done when they are stored."""

    left: int
    store: Store


@dataclass(slots=True)
class _Inbox:
    """Segments that wait to be packaged, as parts of chunks, and workers that wait for them."""

    most: int
    """Segments in one call."""
    parts: deque[_Part] = field(default_factory=deque)
    segments: int = 0
    idle: deque[simpy.Event] = field(default_factory=deque)
    lingering: deque[simpy.Event] = field(default_factory=deque)
    """Workers that wait for a full call."""

    @property
    def is_full(self) -> bool:
        return self.segments >= self.most

    def put(self, segments: int, store: Store) -> None:
        self.parts.append(_Part(segments, store))
        self.segments += segments
        if self.idle:
            self.idle.popleft().succeed()
        if self.lingering and self.is_full:
            self.lingering.popleft().succeed()

    def take(self) -> tuple[int, list[Store]]:
        """Return how many segments go into one call, and what to do for parts that end with it."""
        ended: list[Store] = []
        count = min(self.most, self.segments)
        room = count
        while room and self.parts:
            part = self.parts[0]
            part.left -= (taken := min(room, part.left))
            room -= taken
            if not part.left:
                ended.append(self.parts.popleft().store)
        self.segments -= count
        return count, ended


class Packagers:
    """All replicas; each packages one urgent and one patient batch at a time."""

    def __init__(
        self,
        env: simpy.Environment,
        times: ServiceTimes,
        count: int,
        lock: DispatchLock,
        decide: Do,
        has_work: Callable[[], bool],
        chance: random.Random,
    ) -> None:
        self._env, self._times, self._lock = env, times, lock
        self._decide, self._has_work = decide, has_work
        self._urgent, self._patient = _Inbox(URGENT), _Inbox(BATCH)
        self._news = [env.event() for _ in range(count)]
        for replica in range(count):
            env.process(self._work_off(self._urgent, 0.0))
            env.process(self._work_off(self._patient, LINGER_S))
            env.process(self._answer(replica))
            env.process(self._look(chance.random()))

    def package(self, segments: int, store: Store, *, urgent: bool) -> None:
        """Package segments that were made together; `store` is called when they are stored."""
        (self._urgent if urgent else self._patient).put(segments, store)

    def demand(self) -> None:
        """Tell every replica that somebody waits for a segment."""
        for news in self._news:
            if not news.triggered:
                news.succeed()

    def _work_off(self, inbox: _Inbox, linger_s: float) -> ProcessGenerator:
        """Package what waits, let it be stored, and decide where that makes room.

        The next batch waits for all of that.
        """
        while True:
            while not inbox.parts:
                inbox.idle.append(self._env.event())
                yield inbox.idle[-1]
            if linger_s and not inbox.is_full:
                yield from self._linger(inbox, linger_s)
                if not inbox.parts:
                    continue
            count, ended = inbox.take()
            yield self._env.timeout(self._times.packaging_s(count) + self._times.hops_s)
            if any([store() for store in ended]):
                yield from self._lock.decide(self._decide)

    def _linger(self, inbox: _Inbox, linger_s: float) -> ProcessGenerator:
        """Wait until a call is full, or so long."""
        full = self._env.event()
        inbox.lingering.append(full)
        yield self._env.any_of([full, self._env.timeout(linger_s)])
        if not full.triggered:
            inbox.lingering.remove(full)

    def _answer(self, replica: int) -> ProcessGenerator:
        """Decide once for all demands that came meanwhile."""
        while True:
            yield self._news[replica]
            self._news[replica] = self._env.event()
            yield from self._lock.decide(self._decide)

    def _look(self, share: float) -> ProcessGenerator:
        """Decide every few seconds while there is work; replicas began at different times."""
        every_s = TICK_S * TICKS_A_LOOK
        yield self._env.timeout(share * every_s)
        while True:
            if self._has_work():
                yield from self._lock.decide(self._decide)
            yield self._env.timeout(every_s)
