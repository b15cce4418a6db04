"""What is known while chunks are chosen, and how one becomes work."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import structlog

from reelay.common.commands import Lane
from reelay.common.outbox import Transaction
from reelay.packager.adapters import repository
from reelay.packager.adapters.tables import PackageRow, TaskRow
from reelay.packager.domain.chunks import Chunk, is_made, merge, whole
from reelay.packager.domain.plan import Plan
from reelay.packager.domain.tasks import encode_task

URGENT = (Lane.ONDEMAND, Lane.OPENING)
"""What is under way on these lanes comes soon; the ladder may take minutes."""
OPENING_SOON_S = 3.0
"""A segment that a younger opening chunk contains is not demanded again: it is being made."""

log = structlog.get_logger()


class Work:
    """Unfinished packages and what is under way for them; grows with each chunk announced."""

    def __init__(
        self,
        tx: Transaction,
        packages: Mapping[str, PackageRow],
        tasks: Iterable[TaskRow],
        now: datetime,
    ) -> None:
        self.tx = tx
        self.packages = packages
        self._now = now
        """By the database's clock."""
        self._stored: dict[str, dict[str, int]] = {}
        self._tasks: dict[str, list[TaskRow]] = defaultdict(list)
        self._counts: Counter[tuple[str, bool]] = Counter()
        for task in tasks:
            self._add(task)

    def plan(self, package_id: str) -> Plan:
        """Return a package's plan."""
        return repository.plan_of(self.packages[package_id])

    def tasks(self, package_id: str) -> Sequence[TaskRow]:
        """Return what is under way for a package."""
        return self._tasks.get(package_id, ())

    def stored(self, package_id: str) -> Mapping[str, int]:
        """Return the stored segments of each rendition as bit sets."""
        if package_id not in self._stored:
            self._stored[package_id] = repository.stored_bits(self.packages[package_id])
        return self._stored[package_id]

    def taken(self, package_id: str, lanes: Iterable[Lane] = Lane) -> dict[str, int]:
        """Return the segments that are stored, or under way on some lanes."""
        chosen = set(lanes)
        mine = [task for task in self.tasks(package_id) if task.lane in chosen]
        return merge(self.stored(package_id), map(repository.chunk_of, mine))

    def waits(self, package_id: str) -> bool:
        """Tell whether a package has segments that are neither stored nor under way."""
        taken = self.taken(package_id)
        return any(whole(r) & ~taken.get(r.name, 0) for r in self.plan(package_id).renditions)

    async def drop_spent(self) -> None:
        """Forget tasks dispatched while their package ended or others stored their segments.

        Nobody else would: what is stored of them already is not noted once more.
        """
        spent = [task for mine in self._tasks.values() for task in mine if self._is_spent(task)]
        if spent:
            await repository.drop_tasks(self.tx.session, {task.task_id for task in spent})
            for task in spent:
                self._tasks[task.package_id].remove(task)
                self._counts[_kind(task)] -= 1

    def _is_spent(self, task: TaskRow) -> bool:
        if task.package_id not in self.packages:
            return True
        plan, stored = self.plan(task.package_id), self.stored(task.package_id)
        return is_made(plan, stored, repository.chunk_of(task))

    def count(self, lane: Lane) -> int:
        """Return how many chunks of a lane are under way."""
        return self._counts[lane, True] + self._counts[lane, False]

    def openings(self) -> int:
        """Return how many chunks of the opening lane begin a package; others run ahead."""
        return self._counts[Lane.OPENING, True]

    def aheads(self) -> int:
        """Return how many chunks run ahead of viewers."""
        return self._counts[Lane.OPENING, False]

    def comes_soon(self, package_id: str, name: str, number: int) -> bool:
        """Tell whether a segment is being made on a lane that does not wait for lower ones."""
        for task in self.tasks(package_id):
            if name not in task.renditions or not task.first <= number <= task.last:
                continue
            age_s = (self._now - task.dispatched_at).total_seconds()
            if task.lane == Lane.ONDEMAND or (task.lane == Lane.OPENING and age_s < OPENING_SOON_S):
                return True
        return False

    async def announce(self, package_id: str, chunk: Chunk) -> None:
        """Make a chunk work when the transaction is committed."""
        row = self.packages[package_id]
        task = repository.new_task(row, chunk, self._now)
        self._add(task)
        self.tx.session.add(task)
        await publish_task(self.tx, row, task)

    def _add(self, task: TaskRow) -> None:
        self._tasks[task.package_id].append(task)
        self._counts[_kind(task)] += 1


def _kind(task: TaskRow) -> tuple[str, bool]:
    """Return a task's lane, and whether it begins a package."""
    return task.lane, task.first == 1


async def publish_task(tx: Transaction, row: PackageRow, task: TaskRow) -> None:
    """Announce the work of a task when the transaction is committed."""
    chunk = repository.chunk_of(task)
    plan = repository.plan_of(row)
    work = encode_task(task.task_id, row.package_id, plan, chunk, row.source_key, task.attempt)
    await tx.announce(work, message_id=f"{task.task_id}:{task.lane}:{task.attempt}")
    log.info(
        "dispatched",
        package_id=row.package_id,
        lane=task.lane,
        renditions=",".join(task.renditions),
        segments=f"{task.first}-{task.last}",
        attempt=task.attempt,
    )
