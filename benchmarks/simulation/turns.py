"""The packager's choice of the next ladder chunk, kept from one decision to the next.

The order is that of `reelay.packager.domain.fairness.TurnQueue`, which is made anew of those that
may be next for each decision; a test holds the two against each other.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.simulation.package import Package
from reelay.packager.domain.chunks import Chunk
from reelay.packager.domain.fairness import joining_time


@dataclass(slots=True, eq=False)
class _Owner:
    """An owner, remembered for ever: nobody returns to wipe out what they got."""

    number: int
    time: float = 0.0
    hungry: list[tuple[float, float, int, Package]] = field(default_factory=list)
    """Packages with something to dispatch, by their virtual time and age."""
    entry: int = 0
    """Number of the only heap entry that counts."""

    @property
    def key(self) -> tuple[float, float, float]:
        """What decides whose turn it is: own time, then the next package's time and age."""
        return (self.time, *self.hungry[0][:2])


class Turns:
    """Packages with something to dispatch, and whose turn it is."""

    def __init__(
        self,
        encoders: int = 1,
        backlog: Callable[[int, bool], None] = lambda owner, begins: None,
    ) -> None:
        self._encoders = encoders
        self._owners: dict[int, _Owner] = {}
        self._heap: list[tuple[tuple[float, float, float], int, int]] = []
        self._entries = 0
        self._round = 0.0
        """The time of who was served last; it never goes back, nor begins anew after a rest."""
        self._backlog = backlog

    def time_of(self, owner: int) -> float:
        """Return the virtual time of an owner."""
        return self._owners[owner].time

    def admit(self, package: Package) -> None:
        """Let a package take its turns from now on, as an equal of those that are waiting."""
        if package.all_taken:
            return
        number = package.video.owner
        owner = self._owners.setdefault(number, _Owner(number))
        if not owner.hungry:
            owner.time = joining_time(owner.time, self._round)
            self._backlog(number, True)
        least = min((entry[0] for entry in owner.hungry), default=0.0)
        package.virtual_time = joining_time(None, least)
        heapq.heappush(owner.hungry, _hunger(package))
        self._push(owner)

    def next(self, now_s: float, *, alone: bool = False) -> tuple[Package, Chunk] | None:
        """Return the chunk whose turn it is, and mark it as under way; None when there is none.

        `alone` tells that only one package is unfinished.
        """
        while (owner := self._first()) is not None:
            package = owner.hungry[0][-1]
            chunk = package.next_ladder_chunk(now_s, self._encoders, alone=alone)
            if chunk is not None:
                self._round = max(self._round, owner.time)
                cost = package.cost(chunk)
                package.take(chunk)
                package.virtual_time += cost
                owner.time += cost
            self._again(owner, package)
            if chunk is not None:
                return package, chunk
        return None

    def _first(self) -> _Owner | None:
        """Return the owner whose turn it is, after dropping entries that no longer count."""
        while self._heap:
            _, number, entry = self._heap[0]
            owner = self._owners[number]
            if owner.entry == entry:
                return owner
            heapq.heappop(self._heap)
        return None

    def _again(self, owner: _Owner, package: Package) -> None:
        """Put an owner back in line whose first package has had its turn."""
        if package.all_taken:
            heapq.heappop(owner.hungry)
        else:
            heapq.heapreplace(owner.hungry, _hunger(package))
        if owner.hungry:
            self._push(owner)
        else:
            owner.entry = 0
            self._backlog(owner.number, False)

    def _push(self, owner: _Owner) -> None:
        self._entries += 1
        owner.entry = self._entries
        heapq.heappush(self._heap, (owner.key, owner.number, owner.entry))


def _hunger(package: Package) -> tuple[float, float, int, Package]:
    return (package.virtual_time, package.created_s, package.video.number, package)
