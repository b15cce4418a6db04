"""Whose ladder is next, from the virtual times that all replicas share."""

from collections.abc import Iterator, Mapping

from sqlmodel.ext.asyncio.session import AsyncSession

from reelay.packager.adapters import repository
from reelay.packager.domain.fairness import Contender, TurnQueue
from reelay.packager.handlers.work import Work

OWNER, PACKAGE, ROUND = "owner", "package", "round"


class LadderTurns:
    """The turns of one decision; whoever is served pays, and all is noted at the end."""

    def __init__(self, work: Work, owners: Mapping[str, float], packages: Mapping[str, float],
                 began_at: float) -> None:  # fmt: skip
        self._session = work.tx.session
        self._queue = TurnQueue(_contenders(work, owners, packages))
        self._began_at = self._round = began_at
        self._owners: dict[str, float] = {}
        self._packages: dict[str, float] = {}

    @classmethod
    async def of(cls, work: Work) -> "LadderTurns":
        """Return the turns of all packages in work.

        A decision that began before a package ended may have noted its turn once more after that.
        """
        session = work.tx.session
        owners = await repository.virtual_times(session, OWNER)
        packages = await repository.virtual_times(session, PACKAGE)
        if ended := packages.keys() - work.packages.keys():
            await repository.forget_turns(session, sorted(ended))
        return cls(work, owners, packages, await present_round(session, owners))

    @property
    def next(self) -> str | None:
        """The package whose turn it is, if there is any."""
        return self._queue.next.package_id if self._queue else None

    def leave(self) -> None:
        """Pass over the package whose turn it is, for good: nothing of it is missing."""
        self._queue.leave()

    def serve(self, cost: float) -> None:
        """Let the package whose turn it is pay for a chunk."""
        self._round = max(self._round, self._queue.next.owner_time)
        served = self._queue.serve(cost)
        self._owners[served.owner_id] = served.owner_time
        self._packages[served.package_id] = served.package_time

    async def note(self) -> None:
        """Note what was paid."""
        await repository.set_virtual_times(self._session, OWNER, self._owners)
        await repository.set_virtual_times(self._session, PACKAGE, self._packages)
        if self._round != self._began_at:
            await repository.set_virtual_time(self._session, ROUND, "", self._round)


async def present_round(session: AsyncSession, owners: Mapping[str, float]) -> float:
    """Return the virtual time of the owner who was served last.

    It outlives rests: who comes next, new or not, begins where the others ended. Where it was never
    noted, nobody begins before anybody else.
    """
    rounds = await repository.virtual_times(session, ROUND)
    return rounds.get("", max(owners.values(), default=0.0))


def _contenders(
    work: Work, owners: Mapping[str, float], packages: Mapping[str, float]
) -> Iterator[Contender]:
    for row in work.packages.values():
        yield Contender(
            row.package_id,
            row.owner_id,
            row.created_at.timestamp(),
            packages.get(row.package_id, 0.0),
            owners.get(row.owner_id, 0.0),
        )
