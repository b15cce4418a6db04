"""Who waits how often, and who gives a place up to whom."""

import asyncio
import heapq
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import chain
from typing import Generic, TypeVar


@dataclass(eq=False)
class Place:
    """What one waiting request has, until it leaves or somebody else gets it."""

    viewer: str
    """The name of an address, a dash, and that of a player at it."""
    address: str = field(init=False)
    lost: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def __post_init__(self) -> None:
        self.address = _address(self.viewer)


P = TypeVar("P", bound=Place)


@dataclass(eq=False)
class Crowd(Generic[P]):
    """Those who wait in some part of the room: their places as they came, and who has how many."""

    places: dict[P, None] = field(default_factory=dict)
    _addresses: Counter[str] = field(default_factory=Counter)
    _viewers: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """Those at each address."""

    def add(self, place: P) -> None:
        """Let one more wait."""
        self.places[place] = None
        self._addresses[place.address] += 1
        self._viewers[place.address][place.viewer] += 1

    def remove(self, place: P) -> None:
        """Let one go who waits."""
        del self.places[place]
        for counts, name in (
            (self._addresses, place.address),
            (self._viewers[place.address], place.viewer),
        ):
            counts[name] -= 1
            if not counts[name]:
                del counts[name]
        if not self._viewers[place.address]:
            del self._viewers[place.address]

    def count(self, viewer: str) -> tuple[int, int]:
        """Return how many places its address has, and how many of these are its own."""
        address = _address(viewer)
        return self._addresses[address], self._at(address)[viewer]

    def most_modest(self, number: int, everybody: "Crowd[P]") -> list[str]:
        """Return up to so many of the viewers here: those who have fewest places of all."""
        viewers = chain.from_iterable(self._viewers.values())
        return heapq.nsmallest(number, viewers, key=everybody.count)

    def rival(self, viewer: str, everybody: "Crowd[P]") -> P | None:
        """Return the place that a newcomer here gets; None when the newcomer is the greediest.

        The greediest player at the greediest address gives up what it asked for last; when that
        address would then have fewer than the newcomer's, one at the newcomer's own does.
        """
        ours = _address(viewer)
        address = max(self._addresses, key=everybody._addresses.__getitem__, default=ours)
        # As many as the newcomer would have then are not enough: swapping ranks would never end.
        if everybody._addresses[address] <= everybody._addresses[ours] + 1:
            address = ours
        counts = everybody._at(address)
        greediest = max(self._at(address), key=counts.__getitem__, default=viewer)
        if address == ours and counts[greediest] <= counts[viewer] + 1:
            return None
        return next(place for place in reversed(self.places) if place.viewer == greediest)

    def _at(self, address: str) -> Counter[str]:
        return self._viewers.get(address, Counter())


def _address(viewer: str) -> str:
    return viewer.partition("-")[0]
