"""What is known while chunks are chosen, and how one becomes work."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Self

import structlog

from reelay.common.commands import Lane
from reelay.common.outbox import Transaction
from reelay.packager.adapters import pending, repository
from reelay.packager.adapters.pending import Pending
from reelay.packager.adapters.tables import TaskRow
from reelay.packager.domain.chunks import Chunk, merge
from reelay.packager.domain.coming import comes_soon
from reelay.packager.domain.plan import Plan
from reelay.packager.domain.tasks import encode_task

URGENT = (Lane.ONDEMAND, Lane.OPENING)
"""What is under way on these lanes comes soon; the ladder may take minutes."""

log = structlog.get_logger()


class Work:
    """Unfinished packages and what is under way for them; grows with each chunk announced.

    However many packages there are, only those are loaded that may be chosen.
    """

    def __init__(self, tx: Transaction, now: datetime, counts: Counter[tuple[str, bool]]) -> None:
        """`now` is by the database's clock; `counts` as `pending.under_way` returns them."""
        self.tx = tx
        self.packages: dict[str, Pending] = {}
        """The unfinished ones among those that were loaded."""
        self._now = now
        self._counts = counts
        self._tasks: dict[str, list[TaskRow]] = {}

    @classmethod
    async def begin(cls, tx: Transaction) -> Self:
        """Take the dispatch lock; nothing is loaded yet."""
        now = await repository.take_dispatch_lock(tx.session)
        return cls(tx, now, await pending.under_way(tx.session))

    async def load(self, package_ids: Iterable[str]) -> None:
        """Read packages, and what is under way for them, unless that was done.

        Tasks are read before packages: a segment stored in between then counts as both, never as
        neither.
        """
        if new := set(package_ids) - self._tasks.keys():
            self._tasks |= {package_id: [] for package_id in new}
            for task in await repository.tasks(self.tx.session, new):
                self._tasks[task.package_id].append(task)
            self.packages |= await pending.packages(self.tx.session, new)

    def plan(self, package_id: str) -> Plan:
        """Return a package's plan."""
        return self.packages[package_id].plan

    def tasks(self, package_id: str) -> Sequence[TaskRow]:
        """Return what is under way for a package."""
        return self._tasks[package_id]

    def stored(self, package_id: str) -> Mapping[str, int]:
        """Return the stored segments of each rendition as bit sets."""
        return self.packages[package_id].stored

    def taken(self, package_id: str, lanes: Iterable[Lane] = Lane) -> dict[str, int]:
        """Return the segments that are stored, or under way on some lanes."""
        chosen = set(lanes)
        mine = [task for task in self.tasks(package_id) if task.lane in chosen]
        return merge(self.stored(package_id), map(repository.chunk_of, mine))

    def count(self, lane: Lane) -> int:
        """Return how many chunks of a lane are under way."""
        return self._counts[lane, True] + self._counts[lane, False]

    def openings(self) -> int:
        """Return how many chunks of the opening lane begin a package; others run ahead."""
        return self._counts[Lane.OPENING, True]

    def beginnings_demanded(self) -> int:
        """Return how many demanded chunks begin a package, which an opening would do as well."""
        return self._counts[Lane.ONDEMAND, True]

    def aheads(self) -> int:
        """Return how many chunks run ahead of viewers."""
        return self._counts[Lane.OPENING, False]

    def comes_soon(self, package_id: str, name: str, number: int) -> bool:
        """Tell whether a segment is being made, or will be in a moment."""
        stored = self.stored(package_id).get(name, 0)
        return any(
            comes_soon(
                repository.chunk_of(task),
                number,
                stored,
                age_s=self._since_s(task.dispatched_at),
                quiet_s=self._since_s(task.progressed_at) if task.progressed_at else None,
            )
            for task in self.tasks(package_id)
            if name in task.renditions and task.first <= number <= task.last
        )

    def _since_s(self, then: datetime) -> float:
        return (self._now - then).total_seconds()

    async def announce(self, package_id: str, chunk: Chunk) -> None:
        """Make a chunk work when the transaction is committed."""
        package = self.packages[package_id]
        task = repository.new_task(package_id, package.owner_id, chunk, self._now)
        self._tasks[package_id].append(task)
        self._counts[task.lane, task.first == 1] += 1
        self.tx.session.add(task)
        await publish_task(self.tx, package, task)


async def publish_task(tx: Transaction, package: Pending, task: TaskRow) -> None:
    """Announce the work of a task when the transaction is committed."""
    chunk, package_id = repository.chunk_of(task), task.package_id
    work = encode_task(
        task.task_id, package_id, package.plan, chunk, package.source_key, task.attempt
    )
    await tx.announce(work, message_id=f"{task.task_id}:{task.lane}:{task.attempt}")
    log.info(
        "dispatched",
        package_id=package_id,
        lane=task.lane,
        renditions=",".join(task.renditions),
        segments=f"{task.first}-{task.last}",
        attempt=task.attempt,
    )
