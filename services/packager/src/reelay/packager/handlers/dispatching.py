"""Fills the encoders: decides, under one lock, which chunks become work next.

What is stored and what is under way is in PostgreSQL, so any replica may decide at any time, and
the upkeep makes up within a second for a decision that a killed one did not take. What viewers
wait for is soft state that every replica hears and that repeats itself.
"""

import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import structlog

from reelay.common import metrics
from reelay.common.commands import Lane
from reelay.common.outbox import Transaction
from reelay.packager.adapters import repository
from reelay.packager.adapters.tables import PackageRow, TaskRow
from reelay.packager.domain.chunks import (
    Chunk,
    ahead_chunk,
    chunk_cost,
    merge,
    ondemand_chunk,
    opening_chunk,
)
from reelay.packager.domain.demand import DemandBoard, Wanted
from reelay.packager.domain.fairness import Contender, in_turn, joining_time
from reelay.packager.domain.ladder_chunks import ladder_chunk
from reelay.packager.domain.plan import Plan, Rendition
from reelay.packager.domain.tasks import encode_task
from reelay.packager.domain.window import ladder_window, ondemand_window
from reelay.packager.handlers.census import EncoderCensus

URGENT = (Lane.ONDEMAND, Lane.OPENING)
"""What is under way on these lanes comes soon; the ladder may take minutes."""
OPENING_SOON_S = 3.0
"""A segment that a younger opening chunk contains is not demanded again: it is being made."""

log = structlog.get_logger()


@dataclass(frozen=True)
class _Opening:
    """What an opening chunk contains, and how long nobody need ask for it."""

    rendition_paths: frozenset[str]
    last: int
    until_s: float


@dataclass
class _Work:
    """What is known while chunks are chosen; grows with each that is announced."""

    tx: Transaction
    packages: dict[str, PackageRow]
    tasks: list[TaskRow]
    now: datetime
    """By the database's clock."""

    def plan(self, package_id: str) -> Plan:
        return repository.plan_of(self.packages[package_id])

    def taken(self, package_id: str, lanes: Iterable[Lane] = Lane) -> dict[str, int]:
        """Return the segments that are stored, or under way on some lanes."""
        chosen = set(lanes)
        mine = [t for t in self.tasks if t.package_id == package_id and t.lane in chosen]
        stored = repository.stored_bits(self.packages[package_id])
        return merge(stored, map(repository.chunk_of, mine))

    def count(self, lane: Lane) -> int:
        return sum(task.lane == lane for task in self.tasks)

    async def open(self, package_id: str) -> Chunk | None:
        """Announce the opening chunk, and return it, unless it is made or under way."""
        chunk = opening_chunk(self.plan(package_id), self.taken(package_id))
        if chunk is not None:
            await self.announce(package_id, chunk)
        return chunk

    async def announce(self, package_id: str, chunk: Chunk) -> None:
        row = self.packages[package_id]
        task = repository.new_task(row, chunk, self.now)
        self.tasks.append(task)
        self.tx.session.add(task)
        await publish_task(self.tx, row, task)


class Dispatcher:
    """Turns missing segments into encode work, as much as the encoders can hold."""

    def __init__(self, census: EncoderCensus, board: DemandBoard) -> None:
        self._census = census
        self._board = board
        self.under_way: set[str] = set()
        """Packages that had work to do when last looked at; demand for others costs nothing."""
        self._openings: dict[str, _Opening] = {}

    async def begin(self, tx: Transaction, row: PackageRow) -> bool:
        """Announce the opening chunk of a package, and nothing else yet: nothing delays it then.

        The rest is dispatched when its first segment is stored, or by the upkeep. False when there
        is nothing to open with.
        """
        now = await repository.take_dispatch_lock(tx.session)
        work = _Work(tx, {row.package_id: row}, await repository.tasks(tx.session), now)
        chunk = await work.open(row.package_id)
        self.under_way.add(row.package_id)
        now_s = time.monotonic()
        self._openings = {k: o for k, o in self._openings.items() if now_s < o.until_s}
        if chunk is not None:
            paths = frozenset(work.plan(row.package_id).rendition(r).path for r in chunk.renditions)
            opening = _Opening(paths, chunk.last, now_s + OPENING_SOON_S)
            self._openings[row.package_id] = opening
        return chunk is not None

    def opens_with(self, wanted: Wanted) -> bool:
        """Tell whether a demanded segment comes with an opening that this replica just began."""
        opening = self._openings.get(wanted.package_id)
        return (
            opening is not None
            and time.monotonic() < opening.until_s
            and wanted.rendition_path in opening.rendition_paths
            and wanted.number <= opening.last
        )

    async def dispatch(self, tx: Transaction) -> None:
        """Announce opening chunks at once, demanded ones and the ladder up to their windows."""
        now = await repository.take_dispatch_lock(tx.session)
        # Tasks are read before packages: a segment stored in between then counts as both, never
        # as neither.
        tasks = await repository.tasks(tx.session)
        packages = await repository.unfinished(tx.session)
        work = _Work(tx, {row.package_id: row for row in packages}, tasks, now)
        self.under_way = set(work.packages)
        for package_id in work.packages:
            await work.open(package_id)
        await self._answer_demand(work)
        await self._fill_window(work)
        for lane in Lane:
            metrics.TASKS_OUTSTANDING.labels(lane).set(work.count(lane))

    async def admit(self, tx: Transaction, row: PackageRow) -> None:
        """Let a package take its turns from now on, as an equal of those that are waiting."""
        others = [r for r in await repository.unfinished(tx.session) if r is not row]
        owners = await repository.virtual_times(tx.session, "owner")
        if all(other.owner_id != row.owner_id for other in others):
            present = [owners.get(other.owner_id, 0.0) for other in others]
            joined = joining_time(owners.get(row.owner_id), present)
            await repository.set_virtual_time(tx.session, "owner", row.owner_id, joined)
        packages = await repository.virtual_times(tx.session, "package")
        siblings = [o.package_id for o in others if o.owner_id == row.owner_id]
        joined = joining_time(None, [packages.get(name, 0.0) for name in siblings])
        await repository.set_virtual_time(tx.session, "package", row.package_id, joined)

    async def again(self, tx: Transaction, row: PackageRow, task: TaskRow) -> None:
        """Announce a task anew whose work message is gone."""
        task.attempt += 1
        task.dispatched_at = await repository.now(tx.session)
        tx.session.add(task)
        await publish_task(tx, row, task)

    async def _answer_demand(self, work: _Work) -> None:
        """Announce what viewers wait for, then what runs ahead of them."""
        now_s = time.monotonic()
        demanded: dict[tuple[str, int], set[str]] = defaultdict(set)
        for wanted in list(self._board.waiting(now_s)):
            rendition, number = self._resolve(work, wanted)
            if rendition is None:
                self._board.forget(wanted)
            elif not _comes_soon(work, wanted.package_id, rendition.name, number):
                demanded[wanted.package_id, number].add(rendition.name)
        window = ondemand_window(self._census.count())
        for (package_id, number), names in demanded.items():
            if work.count(Lane.ONDEMAND) >= window:
                break
            plan, soon = work.plan(package_id), work.taken(package_id, URGENT)
            await work.announce(package_id, ondemand_chunk(plan, soon, number, names))
        for package_id in {package_id for package_id, _ in demanded}:
            await self._run_ahead(work, package_id, now_s)

    async def _run_ahead(self, work: _Work, package_id: str, now_s: float) -> None:
        """Make the lowest rung ahead of a viewer, one chunk at a time."""
        focus = self._board.focus(package_id, now_s)
        opening = [t for t in work.tasks if t.package_id == package_id and t.lane == Lane.OPENING]
        if focus is None or opening:
            return
        soon = work.taken(package_id, URGENT)
        chunk = ahead_chunk(work.plan(package_id), soon, focus)
        if chunk is not None:
            await work.announce(package_id, chunk)

    def _resolve(self, work: _Work, wanted: Wanted) -> tuple[Rendition | None, int]:
        """Return the rendition and segment of a demand; no rendition when there is nothing to do.

        An init segment is there as soon as any segment is: its demand is one for the first missing.
        """
        row = work.packages.get(wanted.package_id)
        if row is None:
            return None, 0
        plan = work.plan(wanted.package_id)
        rendition = next((r for r in plan.renditions if r.path == wanted.rendition_path), None)
        if rendition is None or wanted.number > len(rendition.spans):
            return None, 0
        stored = repository.stored_bits(row).get(rendition.name, 0)
        if wanted.number == 0:
            return (None, 0) if stored else (rendition, 1)
        return (None, 0) if stored >> (wanted.number - 1) & 1 else (rendition, wanted.number)

    async def _fill_window(self, work: _Work) -> None:
        """Announce ladder chunks, turn by turn, until the window is full."""
        encoders = self._census.count()
        free = ladder_window(encoders) - work.count(Lane.LADDER)
        if free <= 0 or not work.packages:
            return
        session = work.tx.session
        owners = await repository.virtual_times(session, "owner")
        packages = await repository.virtual_times(session, "package")
        hungry = set(work.packages)
        while free > 0 and hungry:
            package_id = in_turn(_contenders(work, hungry, owners, packages))[0].package_id
            owner_id = work.packages[package_id].owner_id
            focus = self._board.focus(package_id, time.monotonic())
            plan = work.plan(package_id)
            chunk = ladder_chunk(plan, work.taken(package_id), focus or 1, encoders)
            if chunk is None:
                hungry.remove(package_id)
                continue
            await work.announce(package_id, chunk)
            free -= 1
            cost = chunk_cost(plan, chunk)
            owners[owner_id] = owners.get(owner_id, 0.0) + cost
            packages[package_id] = packages.get(package_id, 0.0) + cost
            await repository.set_virtual_time(session, "owner", owner_id, owners[owner_id])
            await repository.set_virtual_time(session, "package", package_id, packages[package_id])


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


def _comes_soon(work: _Work, package_id: str, name: str, number: int) -> bool:
    """Tell whether a segment is being made on a lane that does not wait for lower ones."""
    for task in work.tasks:
        if task.package_id != package_id or name not in task.renditions:
            continue
        if not task.first <= number <= task.last:
            continue
        age_s = (work.now - task.dispatched_at).total_seconds()
        if task.lane == Lane.ONDEMAND or (task.lane == Lane.OPENING and age_s < OPENING_SOON_S):
            return True
    return False


def _contenders(
    work: _Work, hungry: set[str], owners: dict[str, float], packages: dict[str, float]
) -> list[Contender]:
    return [
        Contender(
            row.package_id,
            row.owner_id,
            row.created_at.timestamp(),
            packages.get(row.package_id, 0.0),
            owners.get(row.owner_id, 0.0),
        )
        for row in work.packages.values()
        if row.package_id in hungry
    ]
