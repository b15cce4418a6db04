"""What is found by looking at everything, every few seconds: nothing that a decision waits for."""

from collections.abc import Iterable, Mapping
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from reelay.packager.adapters import pending, repository
from reelay.packager.adapters.pending import Pending
from reelay.packager.adapters.repository import PLANNED
from reelay.packager.adapters.tables import PackageRow, PackageTurn, TaskRow
from reelay.packager.domain.chunks import is_made

_name = col(PackageTurn.package_id)
_made = col(PackageRow.state) == PLANNED
_whole = col(PackageRow.segments_stored) == col(PackageRow.segments_total)


async def names(session: AsyncSession) -> set[str]:
    """Return the names of all packages that are being made."""
    statement = sa.select(col(PackageRow.package_id)).where(_made)
    return set((await session.execute(statement)).scalars())


async def whole(session: AsyncSession) -> list[str]:
    """Return packages of which everything is stored, and that are not completed yet."""
    statement = sa.select(col(PackageRow.package_id)).where(_made, _whole)
    return list((await session.execute(statement)).scalars())


async def drop_spent_tasks(session: AsyncSession) -> None:
    """Forget tasks dispatched while their package ended or others stored their segments.

    Nobody else would: what is stored of them already is not noted once more.
    """
    tasks = await repository.tasks(session)  # before packages: what comes later is not missed
    made = await pending.packages(session, {task.package_id for task in tasks})
    await repository.drop_tasks(session, _spent(tasks, made))


def _spent(tasks: Iterable[TaskRow], made: Mapping[str, Pending]) -> set[UUID]:
    return {
        task.task_id
        for task in tasks
        if (package := made.get(task.package_id)) is None
        or is_made(package.plan, package.stored, repository.chunk_of(task))
    }


async def turns(session: AsyncSession) -> None:
    """Let every package that is being made have a turn, and wait if nothing is under way for it.

    Nothing should have kept it from that but an older version; whatever did, it is not forgotten.
    The first statement alone may wait for others, so the session begins with this.
    """
    await session.execute(_missing())
    kept = sa.select(col(PackageRow.package_id)).where(_made)
    ended = sa.select(_name).where(_name.not_in(kept)).with_for_update(skip_locked=True)
    await session.execute(sa.delete(PackageTurn).where(_name.in_(ended)))
    tasks = sa.select(col(TaskRow.task_id)).where(col(TaskRow.package_id) == _name)
    idle = (
        sa.select(_name)
        .join(PackageRow, col(PackageRow.package_id) == _name)
        .where(~col(PackageTurn.waits), ~_whole, ~tasks.exists())
        .with_for_update(of=PackageTurn, skip_locked=True)
    )
    await session.execute(sa.update(PackageTurn).where(_name.in_(idle)).values(waits=True))


def _missing() -> sa.Insert:
    """Return what gives packages without a turn one, as an equal of their owner's that wait."""
    other = aliased(PackageTurn)
    least = (
        sa.select(sa.func.coalesce(sa.func.min(col(other.virtual_time)), 0.0))
        .where(col(other.owner_id) == col(PackageRow.owner_id), col(other.waits))
        .scalar_subquery()
    )
    rows = sa.select(
        col(PackageRow.package_id), col(PackageRow.owner_id), least, col(PackageRow.created_at),
        sa.true(),
    )  # fmt: skip
    missing = rows.where(_made, ~_whole, col(PackageRow.package_id).not_in(sa.select(_name)))
    columns = ["package_id", "owner_id", "virtual_time", "since", "waits"]
    statement = insert(PackageTurn).from_select(
        columns, missing.order_by(col(PackageRow.package_id))
    )
    return statement.on_conflict_do_nothing()
