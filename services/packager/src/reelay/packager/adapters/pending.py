"""What is decided about: packages that are being made, and what is under way for them.

However many packages there are, a decision gets the rows of those few that it may choose. To find
them PostgreSQL looks at all that wait, for about 2 µs each.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from reelay.common.commands import Lane
from reelay.packager.adapters import repository
from reelay.packager.adapters.repository import PLANNED
from reelay.packager.adapters.tables import PackageRow, TaskRow
from reelay.packager.domain.opening_turns import Unopened
from reelay.packager.domain.plan import Plan


@dataclass(frozen=True)
class Pending:
    """A package that is being made."""

    package_id: str
    owner_id: str
    source_key: str
    is_repaired: bool
    """It was complete before."""
    stored: Mapping[str, int]
    """The stored segments of each rendition as bit sets."""
    plan: Plan


async def packages(session: AsyncSession, package_ids: Iterable[str]) -> dict[str, Pending]:
    """Return those of some packages that are being made, as they are in the database now.

    What this session read before, and may have kept, does not count.
    """
    wanted = col(PackageRow.package_id).in_(list(package_ids))
    statement = sa.select(
        col(PackageRow.package_id),
        col(PackageRow.owner_id),
        col(PackageRow.source_key),
        col(PackageRow.root_digest).is_not(None),
        col(PackageRow.stored),
    ).where(wanted, col(PackageRow.state) == PLANNED)
    rows = (await session.execute(statement)).all()
    plans = await _plans(session, {row[0] for row in rows})
    return {
        package_id: Pending(package_id, owner_id, key, again, repository.as_bits(stored), plan)
        for package_id, owner_id, key, again, stored in rows
        if (plan := plans.get(package_id)) is not None  # else it was just removed
    }


async def _plans(session: AsyncSession, package_ids: set[str]) -> dict[str, Plan]:
    """Return plans; only those are read that this process has not seen yet."""
    plans = {i: plan for i in package_ids if (plan := repository.known_plan(i)) is not None}
    if new := package_ids - plans.keys():
        statement = sa.select(col(PackageRow.package_id), col(PackageRow.plan))
        rows = await session.execute(statement.where(col(PackageRow.package_id).in_(new)))
        plans |= {name: repository.remember_plan(name, document) for name, document in rows}
    return plans


async def under_way(session: AsyncSession) -> Counter[tuple[str, bool]]:
    """Return how many tasks are under way, by lane and by whether they begin a package."""
    begins = (col(TaskRow.first) == 1).label("begins")
    statement = sa.select(col(TaskRow.lane), begins, sa.func.count()).group_by(
        col(TaskRow.lane), begins
    )
    rows = (await session.execute(statement)).all()
    return Counter({(lane, first): count for lane, first, count in rows})


async def unopened(session: AsyncSession, most: int) -> list[Unopened]:
    """Return the packages that wait to be opened: of each owner the oldest, `most` at most."""
    place = sa.func.row_number().over(
        partition_by=col(PackageRow.owner_id), order_by=col(PackageRow.created_at)
    )
    waiting = (
        sa.select(
            col(PackageRow.package_id),
            col(PackageRow.owner_id),
            col(PackageRow.created_at),
            place.label("place"),
        )
        .where(_is_unopened())
        .subquery()
    )
    rows = await session.execute(
        sa.select(waiting.c.package_id, waiting.c.owner_id, waiting.c.created_at).where(
            waiting.c.place <= most
        )
    )
    return [Unopened(*row) for row in rows]


async def is_opening_due(session: AsyncSession, besides: str) -> bool:
    """Tell whether any other package waits to be opened."""
    others = col(PackageRow.package_id) != besides
    statement = sa.select(col(PackageRow.package_id)).where(others, _is_unopened()).limit(1)
    return (await session.execute(statement)).first() is not None


def _is_unopened() -> sa.ColumnElement[bool]:
    """Tell whether a package waits to be opened; one that is repaired was opened long ago."""
    return sa.and_(
        col(PackageRow.state) == PLANNED,
        col(PackageRow.playable).is_(False),
        col(PackageRow.root_digest).is_(None),
        ~_opens(),
    )


def _opens() -> sa.ColumnElement[bool]:
    """Tell whether a package's opening is under way."""
    return (
        sa.select(col(TaskRow.task_id))
        .where(
            col(TaskRow.package_id) == col(PackageRow.package_id),
            col(TaskRow.lane) == Lane.OPENING,
            col(TaskRow.first) == 1,
        )
        .exists()
    )
