"""Whose ladder is next, for all replicas: virtual times in PostgreSQL.

They are changed under the dispatch lock. A package's turn is forgotten without it when the package
ends, and does not come back then.
"""

from collections.abc import Mapping
from operator import itemgetter

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import array, insert
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from reelay.packager.adapters.tables import PackageTurn, TurnRow
from reelay.packager.domain.fairness import Contender

OWNER, ROUND = "owner", "round"

_table = PackageTurn.metadata.tables["package_turns"]
_name = col(PackageTurn.package_id)
_waits = col(PackageTurn.waits)
_owner = col(PackageTurn.owner_id)
_turn = col(PackageTurn.virtual_time)
_since = col(PackageTurn.since)


async def first(session: AsyncSession, count: int) -> list[Contender]:
    """Return all packages of which `count` chunks may be dispatched next, in no certain order.

    Those are of the `count` owners that are next, and as many of each one's.
    """
    owners = _next_owners(count)
    theirs = (
        sa.select(_name, sa.extract("epoch", _since).label("since"), _turn)
        .where(_waits, _owner == owners.c.owner_id)
        .order_by(_turn, _since, _name)
        .limit(count)
        .lateral()
    )
    statement = sa.select(
        theirs.c.package_id, owners.c.owner_id, theirs.c.since, theirs.c.virtual_time,
        owners.c.virtual_time,
    ).join(theirs, sa.true())  # fmt: skip
    rows = (await session.execute(statement)).all()
    return [Contender(name, owner, float(at), mine, his) for name, owner, at, mine, his in rows]


def _next_owners(count: int) -> sa.Subquery:
    """Select the owners whose turns are next; of equals, whose next package is older."""
    time = sa.func.coalesce(col(TurnRow.virtual_time), 0.0)
    next_package = sa.func.min(array([_turn, sa.extract("epoch", _since)]))
    return (
        sa.select(_owner.label("owner_id"), time.label("virtual_time"))
        .outerjoin(TurnRow, sa.and_(col(TurnRow.kind) == OWNER, col(TurnRow.name) == _owner))
        .where(_waits)
        .group_by(_owner, time)
        .order_by(time, next_package, _owner)
        .limit(count)
        .subquery()
    )


async def present_round(session: AsyncSession) -> float:
    """Return the virtual time of the owner who was served last.

    It outlives rests: who comes next, new or not, begins where the others ended. Where it was never
    noted, nobody begins before anybody else.
    """
    latest = sa.func.max(col(TurnRow.virtual_time))
    noted = sa.select(latest).where(col(TurnRow.kind) == ROUND).scalar_subquery()
    most = sa.select(latest).where(col(TurnRow.kind) == OWNER).scalar_subquery()
    time: float = (
        await session.execute(sa.select(sa.func.coalesce(noted, most, 0.0)))
    ).scalar_one()
    return time


async def owner_time(session: AsyncSession, owner_id: str) -> float | None:
    """Return an owner's virtual time; None when the owner never had one."""
    mine = (col(TurnRow.kind) == OWNER, col(TurnRow.name) == owner_id)
    return (await session.execute(sa.select(col(TurnRow.virtual_time)).where(*mine))).scalar()


async def least_waiting(session: AsyncSession, owner_id: str, besides: str) -> float | None:
    """Return the least virtual time of an owner's other packages that wait; None without any."""
    least = sa.select(sa.func.min(_turn)).where(_waits, _owner == owner_id, _name != besides)
    return (await session.execute(least)).scalar()


async def is_alone(session: AsyncSession) -> bool:
    """Tell whether no more than one package is being made."""
    two = sa.select(_name).limit(2)
    return len((await session.execute(two)).all()) < 2


async def join(session: AsyncSession, package_id: str, owner_id: str, time: float) -> None:
    """Let a package wait for its turns from now on."""
    statement = insert(PackageTurn).values(
        package_id=package_id,
        owner_id=owner_id,
        virtual_time=time,
        since=sa.func.clock_timestamp(),
        waits=True,
    )
    changed = {"owner_id": owner_id, "virtual_time": time, "waits": True}
    await session.execute(
        statement.on_conflict_do_update(index_elements=["package_id"], set_=changed)
    )


async def set_owner_times(session: AsyncSession, times: Mapping[str, float]) -> None:
    """Set owners' virtual times."""
    await _set(session, OWNER, times)


async def set_round(session: AsyncSession, time: float) -> None:
    """Set the virtual time of the present round."""
    await _set(session, ROUND, {"": time})


async def _set(session: AsyncSession, kind: str, times: Mapping[str, float]) -> None:
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


async def note_packages(session: AsyncSession, turns: Mapping[str, tuple[float, bool]]) -> None:
    """Note virtual times of packages, and whether they wait; one that has ended has no turn."""
    rows = [{"name": name, "time": time, "is_waiting": w} for name, (time, w) in turns.items()]
    if rows:
        statement = (
            sa.update(_table)
            .where(_table.c.package_id == sa.bindparam("name"))
            .values(virtual_time=sa.bindparam("time"), waits=sa.bindparam("is_waiting"))
        )
        connection = await session.connection()
        await connection.execute(statement, sorted(rows, key=itemgetter("name")))


async def forget(session: AsyncSession, package_id: str) -> None:
    """Forget the turn of a package that has ended, unless a decision just has it.

    That one is forgotten soon (`mending.turns`): who ends several packages waits for no decision,
    which may wait for them.
    """
    free = sa.select(_name).where(_name == package_id).with_for_update(skip_locked=True)
    await session.execute(sa.delete(PackageTurn).where(_name.in_(free)))
