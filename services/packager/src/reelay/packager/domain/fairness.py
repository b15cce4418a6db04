"""Whose chunk is next: owners share the encoders evenly, and so do the packages of one owner.

Start-time fair queueing (Goyal, Vin and Cheng, 1997), the continuous form of deficit round robin:
everybody has a virtual time that grows by the cost of what was dispatched for them, the one whose
time is least is served next, and whoever comes starts at the time of the present round.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace

_PackageTurn = tuple[float, float, str]
"""Virtual time, time of creation and name of a package: how those of one owner are ordered."""


@dataclass(frozen=True)
class Contender:
    """A package that has a chunk to dispatch, and the virtual times of it and of its owner."""

    package_id: str
    owner_id: str
    created_at_s: float
    package_time: float
    owner_time: float


class TurnQueue:
    """Contenders in the order of their turns; the older one of equals goes first.

    The next one is found in the logarithm of their number: under one lock, a thousand packages
    wait for what is decided.
    """

    def __init__(self, contenders: Iterable[Contender]) -> None:
        self._packages: dict[str, list[_PackageTurn]] = defaultdict(list)
        times: dict[str, float] = {}
        for each in contenders:
            turn = (each.package_time, each.created_at_s, each.package_id)
            self._packages[each.owner_id].append(turn)
            times[each.owner_id] = each.owner_time
        for turns in self._packages.values():
            heapify(turns)
        self._owners = [(time, self._packages[owner][0], owner) for owner, time in times.items()]
        heapify(self._owners)

    def __bool__(self) -> bool:
        return bool(self._owners)

    @property
    def next(self) -> Contender:
        """Whose turn it is; raises IndexError when there is nobody."""
        owner_time, (package_time, created_at_s, package_id), owner_id = self._owners[0]
        return Contender(package_id, owner_id, created_at_s, package_time, owner_time)

    def serve(self, cost: float) -> Contender:
        """Let who is next pay for a chunk, and come again; return it with its new times."""
        owner_time, (package_time, created_at_s, package_id), owner_id = self._owners[0]
        turn = (package_time + cost, created_at_s, package_id)
        heapreplace(self._packages[owner_id], turn)
        first = self._packages[owner_id][0]
        heapreplace(self._owners, (owner_time + cost, first, owner_id))
        return Contender(package_id, owner_id, created_at_s, turn[0], owner_time + cost)

    def leave(self) -> None:
        """Let who is next go: there is no chunk for it."""
        owner_time, _, owner_id = self._owners[0]
        turns = self._packages[owner_id]
        heappop(turns)
        if turns:
            heapreplace(self._owners, (owner_time, turns[0], owner_id))
        else:
            heappop(self._owners)


def joining_time(own: float | None, present_round: float) -> float:
    """Return the virtual time at which somebody joins those who are being served.

    `own` is the time of an earlier stay, `present_round` that of who was served last, which no rest
    sets back. Nobody saves up turns while away, or returns to wipe out what they got.
    """
    return present_round if own is None else max(own, present_round)
