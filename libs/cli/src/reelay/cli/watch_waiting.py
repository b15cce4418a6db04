"""Who waits for which object of a package, as those at which they wait tell it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from reelay.common.commands import DemandWithdrawn, SegmentDemanded

LONGEST_WAIT_S = 8.0
"""So long a content API lets a request wait. Of many at one segment only a few are told again
meanwhile, so each waits until it is stored, they leave, or nobody told it again for so long."""


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
        self._demanded = _recent(self._demanded, at)

    def withdraw(self, withdrawn: DemandWithdrawn, at: float) -> None:
        """Note that a viewer left."""
        place = _Place(withdrawn.path, withdrawn.viewer, withdrawn.teller)
        self._left[place] = max(self._left.get(place, at), at)
        self._left = _recent(self._left, at)

    def places(self, now: float) -> set[tuple[str, str]]:
        """Return each path that is waited for, with each viewer who may wait for it still."""
        return {
            (place.path, place.viewer)
            for place, at in _recent(self._demanded, now).items()
            if self._left.get(place, at - 1) < at
        }


def _recent(times: Mapping[_Place, float], now: float) -> dict[_Place, float]:
    """Return those that still tell something: an older wait is over, whoever left."""
    return {place: at for place, at in times.items() if now - at < LONGEST_WAIT_S}
