"""What is known while chunks are chosen, and how one becomes work."""

from collections.abc import Iterable
from dataclasses import dataclass
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


@dataclass
class Work:
    """Unfinished packages and what is under way for them; grows with each chunk announced."""

    tx: Transaction
    packages: dict[str, PackageRow]
    tasks: list[TaskRow]
    now: datetime
    """By the database's clock."""

    def plan(self, package_id: str) -> Plan:
        """Return a package's plan."""
        return repository.plan_of(self.packages[package_id])

    def taken(self, package_id: str, lanes: Iterable[Lane] = Lane) -> dict[str, int]:
        """Return the segments that are stored, or under way on some lanes."""
        chosen = set(lanes)
        mine = [t for t in self.tasks if t.package_id == package_id and t.lane in chosen]
        stored = repository.stored_bits(self.packages[package_id])
        return merge(stored, map(repository.chunk_of, mine))

    def waits(self, package_id: str) -> bool:
        """Tell whether a package has segments that are neither stored nor under way."""
        taken = self.taken(package_id)
        return any(whole(r) & ~taken.get(r.name, 0) for r in self.plan(package_id).renditions)

    async def drop_spent(self) -> None:
        """Forget tasks dispatched while their package ended or others stored their segments.

        Nobody else would: what is stored of them already is not noted once more.
        """
        spent = {task.task_id for task in self.tasks if self._is_spent(task)}
        if spent:
            await repository.drop_tasks(self.tx.session, spent)
            self.tasks = [task for task in self.tasks if task.task_id not in spent]

    def _is_spent(self, task: TaskRow) -> bool:
        row = self.packages.get(task.package_id)
        chunk = repository.chunk_of(task)
        return row is None or is_made(self.plan(row.package_id), repository.stored_bits(row), chunk)

    def count(self, lane: Lane) -> int:
        """Return how many chunks of a lane are under way."""
        return sum(task.lane == lane for task in self.tasks)

    def openings(self) -> int:
        """Return how many chunks of the opening lane begin a package; others run ahead."""
        return sum(task.lane == Lane.OPENING and task.first == 1 for task in self.tasks)

    def aheads(self) -> int:
        """Return how many chunks run ahead of viewers."""
        return self.count(Lane.OPENING) - self.openings()

    def comes_soon(self, package_id: str, name: str, number: int) -> bool:
        """Tell whether a segment is being made on a lane that does not wait for lower ones."""
        for task in self.tasks:
            if task.package_id != package_id or name not in task.renditions:
                continue
            if not task.first <= number <= task.last:
                continue
            age_s = (self.now - task.dispatched_at).total_seconds()
            if task.lane == Lane.ONDEMAND or (task.lane == Lane.OPENING and age_s < OPENING_SOON_S):
                return True
        return False

    async def announce(self, package_id: str, chunk: Chunk) -> None:
        """Make a chunk work when the transaction is committed."""
        row = self.packages[package_id]
        task = repository.new_task(row, chunk, self.now)
        self.tasks.append(task)
        self.tx.session.add(task)
        await publish_task(self.tx, row, task)


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
