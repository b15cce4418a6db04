"""Whose ladder is next, from the virtual times that all replicas share."""

from typing import Self

from reelay.packager.adapters import virtual_times
from reelay.packager.domain.fairness import TurnQueue
from reelay.packager.handlers.work import Work

AT_ONCE = 16
"""Most turns taken from one look at all that wait, which reads up to the square of that."""


class LadderTurns:
    """The next turns, at most `count`; whoever is served pays, and all is noted at the end."""

    def __init__(self, queue: TurnQueue, count: int) -> None:
        self._queue = queue
        self._count = count
        self._round = 0.0
        self._owners: dict[str, float] = {}
        self._packages: dict[str, tuple[float, bool]] = {}
        """Virtual time of each package, and whether it still waits."""

    @classmethod
    async def of(cls, work: Work, most: int) -> Self:
        """Return the next turns of all packages in work; who has one is loaded."""
        count = min(most, AT_ONCE)
        contenders = await virtual_times.first(work.tx.session, count)
        await work.load(contender.package_id for contender in contenders)
        return cls(TurnQueue(contenders), count)

    @property
    def next(self) -> str | None:
        """The package whose turn it is, if there is any."""
        return self._queue.next.package_id if self._queue and self._count else None

    def leave(self) -> None:
        """Pass over the package whose turn it is, for good: nothing of it is missing.

        That counts as a turn: behind who was looked at, others may wait.
        """
        who = self._queue.next
        self._packages[who.package_id] = (who.package_time, False)
        self._queue.leave()
        self._count -= 1

    def serve(self, cost: float) -> None:
        """Let the package whose turn it is pay for a chunk."""
        self._round = max(self._round, self._queue.next.owner_time)
        served = self._queue.serve(cost)
        self._owners[served.owner_id] = served.owner_time
        self._packages[served.package_id] = (served.package_time, True)
        self._count -= 1

    async def note(self, work: Work) -> None:
        """Note what was paid, and who waits no more."""
        session = work.tx.session
        if self._round > await virtual_times.present_round(session):
            await virtual_times.set_round(session, self._round)
        await virtual_times.set_owner_times(session, self._owners)
        await virtual_times.note_packages(session, self._packages)
