"""Which package is opened next: that of the owner who had none opened for the longest."""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from heapq import heapify, heappop, heapreplace
from itertools import chain, islice, zip_longest
from operator import attrgetter


@dataclass(frozen=True)
class Unopened:
    """A package that nobody can watch yet, and that no opening is under way for."""

    package_id: str
    owner_id: str
    created_at: datetime


class OpeningQueue:
    """Packages that wait to be opened; the older one of an owner, and of equals, goes first."""

    def __init__(self, waiting: Iterable[Unopened], opened_s: Mapping[str, float]) -> None:
        """`opened_s` tells when an owner had one opened last, by one monotonic clock."""
        self._theirs: dict[str, deque[Unopened]] = defaultdict(deque)
        for package in sorted(waiting, key=attrgetter("created_at")):
            self._theirs[package.owner_id].append(package)
        self._owners = [
            (opened_s.get(owner, 0.0), mine[0].created_at, owner)
            for owner, mine in self._theirs.items()
        ]
        heapify(self._owners)

    def __bool__(self) -> bool:
        return bool(self._owners)

    @property
    def next(self) -> Unopened:
        """Whose turn it is; raises IndexError when there is nobody."""
        return self._theirs[self._owners[0][-1]][0]

    def first(self, count: int) -> list[str]:
        """Return the names of those who are opened first, if all of them are."""
        in_order = (self._theirs[owner] for _, _, owner in sorted(self._owners))
        rounds = chain.from_iterable(zip_longest(*in_order))
        return [each.package_id for each in islice(filter(None, rounds), count)]

    def opened(self, now_s: float) -> None:
        """Let the next package go, which was opened; its owner goes behind the others."""
        self._go(now_s)

    def skip(self) -> None:
        """Let the next package go, which there is nothing to open of; its owner keeps the turn."""
        self._go(self._owners[0][0])

    def _go(self, turn_s: float) -> None:
        owner = self._owners[0][-1]
        mine = self._theirs[owner]
        mine.popleft()
        if mine:
            heapreplace(self._owners, (turn_s, mine[0].created_at, owner))
        else:
            heappop(self._owners)
