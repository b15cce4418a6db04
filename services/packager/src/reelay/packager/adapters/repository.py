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
from reelay.packager.adapters.tables import ObjectRow, PackageRow, TaskRow
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
    return known_plan(row.package_id) or remember_plan(row.package_id, row.plan)


def remember_plan(package_id: str, document: Mapping[str, Any]) -> Plan:
    """Return the plan that was stored as a document, and know it from now on."""
    if len(_known_plans) >= KNOWN_PLANS:
        del _known_plans[next(iter(_known_plans))]
    plan = _known_plans[package_id] = _plans.validate_python(document)
    return plan


def known_plan(package_id: str) -> Plan | None:
    """Return a plan that was read before; None otherwise."""
    return _known_plans.get(package_id)


def stored_bits(row: PackageRow) -> dict[str, int]:
    """Return the stored segments of each rendition as bit sets."""
    return as_bits(row.stored)


def as_bits(stored: Mapping[str, str]) -> dict[str, int]:
    """Return bit sets from the form in which they are stored."""
    return {name: int(bits, 16) for name, bits in stored.items()}


def chunk_of(task: TaskRow) -> Chunk:
    """Return the chunk that a task makes."""
    return Chunk(Lane(task.lane), task.provider, tuple(task.renditions), task.first, task.last)


def new_task(package_id: str, owner_id: str, chunk: Chunk, now: datetime) -> TaskRow:
    """Return the task of making a chunk of an owner's package, dispatched `now`."""
    return TaskRow(
        task_id=new_id(),
        package_id=package_id,
        owner_id=owner_id,
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
    taking = sa.select(sa.func.pg_advisory_xact_lock(DISPATCH_LOCK)).cte("taken")
    taken = taking.prefix_with("MATERIALIZED")
    statement = sa.select(sa.func.clock_timestamp()).select_from(taken)
    time: datetime = (await session.execute(statement)).scalar_one()
    return time.astimezone(UTC)


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


async def made_with(session: AsyncSession, package_id: str, path: str) -> tuple[int, int] | None:
    """Return the first and last segment that one run of an encoder made with one; None: unknown."""
    made = await session.get(ObjectRow, (package_id, path))
    if made is None or not (made.made_first and made.made_last):
        return None
    return made.made_first, made.made_last


async def tasks(session: AsyncSession, package_ids: Iterable[str] | None = None) -> list[TaskRow]:
    """Return the tasks under way, of some packages or of all."""
    statement = select(TaskRow).order_by(col(TaskRow.dispatched_at))
    if package_ids is not None:
        statement = statement.where(col(TaskRow.package_id).in_(list(package_ids)))
    return list((await session.exec(statement)).all())


async def lock_tasks(session: AsyncSession, task_ids: Iterable[UUID]) -> list[TaskRow]:
    """Return these tasks but for those that others hold; nobody else changes the rest now."""
    statement = select(TaskRow).where(col(TaskRow.task_id).in_(list(task_ids)))
    return list((await session.exec(statement.with_for_update(skip_locked=True))).all())


async def note_progress(session: AsyncSession, task_ids: Iterable[UUID]) -> None:
    """Note that segments which these tasks made are stored just now."""
    mine = sa.update(TaskRow).where(col(TaskRow.task_id).in_(list(task_ids)))
    await session.execute(mine.values(progressed_at=sa.func.clock_timestamp()))


async def drop_tasks(session: AsyncSession, task_ids: Iterable[UUID]) -> None:
    """Forget tasks that are over, but for those that somebody else just forgets."""
    mine = [task.task_id for task in await lock_tasks(session, task_ids)]
    await session.execute(sa.delete(TaskRow).where(col(TaskRow.task_id).in_(mine)))


async def delete_tasks(session: AsyncSession, package_id: str) -> None:
    """Forget the tasks of a package."""
    await session.execute(sa.delete(TaskRow).where(col(TaskRow.package_id) == package_id))
