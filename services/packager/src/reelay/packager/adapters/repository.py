"""Packages and tasks in PostgreSQL; every function works inside its caller's transaction."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from pydantic import TypeAdapter
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from reelay.common.commands import Lane
from reelay.common.identity import new_id
from reelay.packager.adapters.tables import ObjectRow, PackageRow, TaskRow, TurnRow
from reelay.packager.domain.chunks import Chunk
from reelay.packager.domain.outcome import StoredObject
from reelay.packager.domain.plan import Plan

DISPATCH_LOCK = 0x6469737061746368  # 'dispatch'
PLANNED, COMPLETE, FAILED, CANCELLED = "planned", "complete", "failed", "cancelled"
SUPERSEDED, CONDEMNED = "superseded", "condemned"
"""Replaced by another package; about to be removed, whatever happens."""

KNOWN_PLANS = 5000
"""Each takes 10 kB."""

_plans: TypeAdapter[Plan] = TypeAdapter(Plan)
_known_plans: dict[str, Plan] = {}


def plan_of(row: PackageRow) -> Plan:
    """Return the plan as it was made; a plan never changes."""
    plan = _known_plans.get(row.package_id)
    if plan is None:
        if len(_known_plans) >= KNOWN_PLANS:
            del _known_plans[next(iter(_known_plans))]
        plan = _known_plans[row.package_id] = _plans.validate_python(row.plan)
    return plan


def known_plan(package_id: str) -> Plan | None:
    """Return a plan that was read before; None otherwise."""
    return _known_plans.get(package_id)


def stored_bits(row: PackageRow) -> dict[str, int]:
    """Return the stored segments of each rendition as bit sets."""
    return {name: int(bits, 16) for name, bits in row.stored.items()}


def chunk_of(task: TaskRow) -> Chunk:
    """Return the chunk that a task makes."""
    return Chunk(Lane(task.lane), task.provider, tuple(task.renditions), task.first, task.last)


def new_task(row: PackageRow, chunk: Chunk, now: datetime) -> TaskRow:
    """Return the task of making a chunk of a package, dispatched `now`."""
    return TaskRow(
        task_id=new_id(),
        package_id=row.package_id,
        owner_id=row.owner_id,
        lane=chunk.lane,
        provider=chunk.provider,
        renditions=list(chunk.renditions),
        first=chunk.first,
        last=chunk.last,
        dispatched_at=now,
    )


async def take_dispatch_lock(session: AsyncSession) -> datetime:
    """Let one transaction at a time decide what is dispatched, on any replica.

    Return the time by the database's clock: those of the replicas may differ.
    """
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock(DISPATCH_LOCK)))
    return await now(session)


async def now(session: AsyncSession) -> datetime:
    """Return the time by the database's clock, in UTC."""
    time: datetime = (await session.execute(sa.select(sa.func.clock_timestamp()))).scalar_one()
    return time.astimezone(UTC)


async def find(session: AsyncSession, package_id: str) -> PackageRow | None:
    """Return a package, if it is known."""
    return await session.get(PackageRow, package_id)


async def lock(session: AsyncSession, package_id: str) -> PackageRow | None:
    """Return a package whose row nobody else changes until the transaction ends."""
    statement = select(PackageRow).where(PackageRow.package_id == package_id).with_for_update()
    return (await session.exec(statement)).first()


async def insert_package(session: AsyncSession, plan: Plan, owner_id: str, source_key: str) -> bool:
    """Insert a planned package; False when it is known already."""
    values: dict[str, Any] = {
        "package_id": plan.package_id,
        "asset_id": plan.asset_id,
        "owner_id": owner_id,
        "source_key": source_key,
        "plan": _plans.dump_python(plan, mode="json"),
        "state": PLANNED,
        "stored": {},
        "segments_stored": 0,
        "segments_total": plan.segments_total,
        "playable": False,
        "warnings": [],
        "created_at": sa.func.clock_timestamp(),
    }
    statement = insert(PackageRow).values(**values).on_conflict_do_nothing()
    done = await session.execute(statement.returning(col(PackageRow.package_id)))
    return done.first() is not None


async def insert_object(
    session: AsyncSession,
    package_id: str,
    stored: StoredObject,
    made: tuple[int | None, int | None] = (None, None),
) -> bool:
    """Note a stored object; False when it was noted before.

    `made` are the first and last segment that one run of an encoder made together with it.
    """
    statement = insert(ObjectRow).values(
        package_id=package_id,
        path=stored.path,
        size_bytes=stored.size_bytes,
        sha256=stored.sha256,
        made_first=made[0],
        made_last=made[1],
    )
    done = await session.execute(statement.on_conflict_do_nothing().returning(col(ObjectRow.path)))
    return done.first() is not None


async def objects(session: AsyncSession, package_id: str) -> Sequence[ObjectRow]:
    """Return the stored objects of a package in order of their paths."""
    statement = select(ObjectRow).where(ObjectRow.package_id == package_id)
    return (await session.exec(statement.order_by(ObjectRow.path))).all()


async def made_together(session: AsyncSession, package_id: str) -> dict[str, tuple[int, int]]:
    """Return, by path, the first and last segment that one run of an encoder made with it."""
    made = await objects(session, package_id)
    return {o.path: (o.made_first, o.made_last) for o in made if o.made_first and o.made_last}


async def tasks(session: AsyncSession, package_ids: Iterable[str] | None = None) -> list[TaskRow]:
    """Return the tasks under way, of some packages or of all."""
    statement = select(TaskRow).order_by(col(TaskRow.dispatched_at))
    if package_ids is not None:
        statement = statement.where(col(TaskRow.package_id).in_(list(package_ids)))
    return list((await session.exec(statement)).all())


async def unfinished(session: AsyncSession) -> Sequence[PackageRow]:
    """Return the packages that still need work, oldest first."""
    statement = select(PackageRow).where(PackageRow.state == PLANNED)
    return (await session.exec(statement.order_by(col(PackageRow.created_at)))).all()


async def lock_tasks(session: AsyncSession, task_ids: Iterable[UUID]) -> list[TaskRow]:
    """Return these tasks but for those that others hold; nobody else changes the rest now."""
    statement = select(TaskRow).where(col(TaskRow.task_id).in_(list(task_ids)))
    return list((await session.exec(statement.with_for_update(skip_locked=True))).all())


async def drop_tasks(session: AsyncSession, task_ids: Iterable[UUID]) -> None:
    """Forget tasks that are over, but for those that somebody else just forgets."""
    mine = [task.task_id for task in await lock_tasks(session, task_ids)]
    await session.execute(sa.delete(TaskRow).where(col(TaskRow.task_id).in_(mine)))


async def is_opening_due(session: AsyncSession, besides: str) -> bool:
    """Tell whether any other package waits to be opened."""
    begun = select(TaskRow.task_id).where(
        TaskRow.package_id == PackageRow.package_id, TaskRow.lane == Lane.OPENING
    )
    waits = (
        PackageRow.state == PLANNED,
        col(PackageRow.playable).is_(False),
        PackageRow.package_id != besides,
        ~begun.exists(),
    )
    return (
        await session.exec(select(PackageRow.package_id).where(*waits).limit(1))
    ).first() is not None


async def delete_tasks(session: AsyncSession, package_id: str) -> None:
    """Forget the tasks of a package."""
    await session.execute(sa.delete(TaskRow).where(col(TaskRow.package_id) == package_id))


async def virtual_times(session: AsyncSession, kind: str) -> dict[str, float]:
    """Return the virtual times of owners or packages (`kind`) by name."""
    statement = select(TurnRow.name, TurnRow.virtual_time).where(TurnRow.kind == kind)
    return dict((await session.exec(statement)).all())


async def set_virtual_time(session: AsyncSession, kind: str, name: str, time: float) -> None:
    """Set the virtual time of an owner or a package."""
    await set_virtual_times(session, kind, {name: time})


async def set_virtual_times(session: AsyncSession, kind: str, times: Mapping[str, float]) -> None:
    """Set the virtual times of owners or packages by name."""
    if not times:
        return
    rows = [{"kind": kind, "name": name, "virtual_time": times[name]} for name in sorted(times)]
    statement = insert(TurnRow).values(rows)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["kind", "name"],
            set_={"virtual_time": statement.excluded.virtual_time},
        )
    )


async def forget_turn(session: AsyncSession, package_id: str) -> None:
    """Forget the virtual time of a package that is finished."""
    await forget_turns(session, [package_id])


async def forget_turns(session: AsyncSession, package_ids: Iterable[str]) -> None:
    """Forget the virtual times of packages that are finished."""
    mine = col(TurnRow.name).in_(list(package_ids))
    await session.execute(sa.delete(TurnRow).where(col(TurnRow.kind) == "package", mine))
