"""Who waits for which object of a package, as those at which they wait tell it."""

from collections import Counter
from dataclasses import dataclass, field

from reelay.common.commands import DemandWithdrawn, SegmentDemanded

QUIET_S = 3.0
"""A demand is repeated each second; one not heard for so long has lapsed."""


@dataclass(frozen=True)
class _Place:
    """One viewer's wait for one object at one process."""

    path: str
    viewer: str
    teller: str


@dataclass
class Waiting:
    """Latest times alone, so that messages may come in any order and number."""

    _demanded: dict[_Place, float] = field(default_factory=dict)
    _left: dict[_Place, float] = field(default_factory=dict)

    def demand(self, demand: SegmentDemanded, at: float) -> None:
        """Note that a viewer waits."""
        place = _Place(demand.path, demand.viewer, demand.teller)
        self._demanded[place] = max(self._demanded.get(place, at), at)

    def withdraw(self, withdrawn: DemandWithdrawn, at: float) -> None:
        """Note that a viewer left."""
        place = _Place(withdrawn.path, withdrawn.viewer, withdrawn.teller)
        self._left[place] = max(self._left.get(place, at), at)

    def count(self, now: float) -> Counter[str]:
        """Return how many viewers wait for each path."""
        return Counter(path for path, _ in self._waiting(now))

    def viewers(self, now: float) -> set[str]:
        """Return who waits for anything."""
        return {viewer for _, viewer in self._waiting(now)}

    def _waiting(self, now: float) -> set[tuple[str, str]]:
        """Return each path that is waited for with each viewer who does."""
        return {
            (place.path, place.viewer)
            for place, at in self._demanded.items()
            if now - at < QUIET_S and self._left.get(place, at - 1) < at
        }
