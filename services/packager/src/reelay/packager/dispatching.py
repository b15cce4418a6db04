"""Fills the encoders: decides, under one lock, which chunks become work next.

All state is in PostgreSQL and the decision is taken inside the transaction that changed it, so any
replica may take it and a killed one loses nothing.
"""

import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from math import ceil

import structlog

from reelay.common import metrics
from reelay.common.commands import EncoderAlive, Lane
from reelay.common.identity import new_id
from reelay.common.outbox import Transaction
from reelay.packager.adapters import repository
from reelay.packager.adapters.tables import PackageRow, TaskRow
from reelay.packager.domain.chunks import Chunk, ladder_chunk, merge, opening_chunk
from reelay.packager.domain.plan import Plan
from reelay.packager.domain.tasks import encode_task

ALIVE_FOR_S = 5.0
WAITING_PER_ENCODER = 0.5
"""Ladder chunks that wait in the queue beyond one per encoder, so that none runs dry."""

log = structlog.get_logger()


class EncoderCensus:
    """How many encoders are alive, by what they say of themselves every second."""

    def __init__(self) -> None:
        self._seen: dict[str, float] = {}

    async def hear(self, alive: EncoderAlive) -> None:
        """Note a sign of life, by our own clock."""
        self._seen[alive.encoder_id] = time.monotonic()

    def count(self) -> int:
        """Return how many are alive; one when none has spoken yet."""
        limit = time.monotonic() - ALIVE_FOR_S
        self._seen = {who: when for who, when in self._seen.items() if when > limit}
        return max(1, len(self._seen))


class Dispatcher:
    """Turns missing segments into encode work, as much as the encoders can hold."""

    def __init__(self, census: EncoderCensus) -> None:
        self._census = census

    async def dispatch(self, tx: Transaction) -> None:
        """Announce opening chunks at once, and ladder chunks up to the window."""
        await repository.take_dispatch_lock(tx.session)
        # Tasks are read before packages: a segment stored in between then counts as both, never
        # as neither.
        tasks = await repository.tasks(tx.session)
        packages = await repository.unfinished(tx.session)
        plans = {row.package_id: repository.plan_of(row) for row in packages}
        for row in packages:
            chunk = opening_chunk(plans[row.package_id], _taken(row, tasks))
            if chunk is not None:
                tasks.append(await self._announce(tx, row, plans[row.package_id], chunk))
        encoders = self._census.count()
        window = encoders + ceil(encoders * WAITING_PER_ENCODER)
        while sum(task.lane == Lane.LADDER for task in tasks) < window:
            chosen = _fairest(packages, plans, tasks)
            if chosen is None:
                break
            row, chunk = chosen
            tasks.append(await self._announce(tx, row, plans[row.package_id], chunk))
        for lane, number in Counter(task.lane for task in tasks).items():
            metrics.TASKS_OUTSTANDING.labels(lane).set(number)

    async def again(self, tx: Transaction, row: PackageRow, task: TaskRow) -> None:
        """Announce a task anew whose work message is gone."""
        task.attempt += 1
        task.dispatched_at = datetime.now(UTC)
        tx.session.add(task)
        await _publish(tx, row, repository.plan_of(row), task)

    async def _announce(
        self, tx: Transaction, row: PackageRow, plan: Plan, chunk: Chunk
    ) -> TaskRow:
        task = TaskRow(
            task_id=new_id(),
            package_id=row.package_id,
            owner_id=row.owner_id,
            lane=chunk.lane,
            provider=chunk.provider,
            renditions=list(chunk.renditions),
            first=chunk.first,
            last=chunk.last,
            dispatched_at=datetime.now(UTC),
        )
        tx.session.add(task)
        await _publish(tx, row, plan, task)
        return task


async def _publish(tx: Transaction, row: PackageRow, plan: Plan, task: TaskRow) -> None:
    work = encode_task(
        task.task_id,
        row.package_id,
        plan,
        repository.chunk_of(task),
        row.source_key,
        task.attempt,
    )
    await tx.announce(work, message_id=f"{task.task_id}:{task.lane}:{task.attempt}")
    log.info(
        "dispatched",
        package_id=row.package_id,
        lane=task.lane,
        renditions=",".join(task.renditions),
        segments=f"{task.first}-{task.last}",
        attempt=task.attempt,
    )


def _taken(row: PackageRow, tasks: list[TaskRow]) -> dict[str, int]:
    mine = [repository.chunk_of(task) for task in tasks if task.package_id == row.package_id]
    return merge(repository.stored_bits(row), mine)


def _fairest(
    packages: Sequence[PackageRow],
    plans: dict[str, Plan],
    tasks: list[TaskRow],
) -> tuple[PackageRow, Chunk] | None:
    """Return a chunk of the package that has least under way: by owner first, then by itself."""
    by_owner = Counter(task.owner_id for task in tasks if task.lane == Lane.LADDER)
    by_package = Counter(task.package_id for task in tasks if task.lane == Lane.LADDER)
    order = sorted(
        packages, key=lambda r: (by_owner[r.owner_id], by_package[r.package_id], r.created_at)
    )
    for row in order:
        chunk = ladder_chunk(plans[row.package_id], _taken(row, tasks))
        if chunk is not None:
            return row, chunk
    return None
