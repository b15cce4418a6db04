"""Which videos need which packages; every function works inside its caller's transaction.

References come from facts: a request adds one, a deletion drops it and leaves a tombstone. So
nothing is forgotten while somebody needs it, in whatever order the two are heard.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from reelay.packager.adapters.repository import CONDEMNED, PLANNED
from reelay.packager.adapters.tables import (
    DeletedVideo,
    ObjectRow,
    PackageReference,
    PackageRow,
    TaskRow,
)


async def hold(session: AsyncSession, name: str) -> None:
    """Let one transaction at a time, on any replica, decide about what is called `name`.

    Taken in the order video, package, source, rows.
    """
    key = sa.func.hashtextextended(name, 0)
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))


async def refer(
    session: AsyncSession, package_id: str, video_id: UUID, owner_id: str | None
) -> None:
    """Note that a video of an owner needs a package."""
    statement = insert(PackageReference).values(
        package_id=package_id, video_id=video_id, owner_id=owner_id
    )
    await session.execute(statement.on_conflict_do_nothing())
    await _set_unreferenced(session, col(PackageRow.package_id) == package_id, None)


async def references(session: AsyncSession, package_id: str) -> Sequence[UUID]:
    """Return the videos that need a package."""
    statement = select(PackageReference.video_id).where(PackageReference.package_id == package_id)
    return (await session.exec(statement)).all()


async def hold_packages_of(session: AsyncSession, video_id: UUID) -> None:
    """Hold all packages that a held video needs: what is decided of them then stays true."""
    held: set[str] = set()
    mine = col(PackageReference.video_id) == video_id
    statement = select(PackageReference.package_id).where(mine)
    while fresh := set((await session.exec(statement)).all()) - held:  # one may just be replaced
        for package_id in sorted(fresh):
            await hold(session, package_id)
        held |= fresh


async def is_deleted(session: AsyncSession, video_id: UUID) -> bool:
    """Tell whether a video was deleted."""
    return await session.get(DeletedVideo, video_id) is not None


async def drop_references(session: AsyncSession, video_id: UUID) -> list[str]:
    """Forget a video for good; return the packages that no video needs any more."""
    tombstone = insert(DeletedVideo).values(video_id=video_id)
    await session.execute(tombstone.on_conflict_do_nothing())
    mine = col(PackageReference.video_id) == video_id
    dropped = await session.execute(
        sa.delete(PackageReference).where(mine).returning(col(PackageReference.package_id))
    )
    return await _no_longer_needed(session, [row[0] for row in dropped])


async def move_references(session: AsyncSession, old: str, new: str) -> Sequence[UUID]:
    """Let the videos that need package `old` need `new` instead; return them."""
    mine = col(PackageReference.package_id) == old
    moved = (await session.exec(select(PackageReference).where(mine))).all()
    for reference in moved:
        await refer(session, new, reference.video_id, reference.owner_id)
    await session.execute(sa.delete(PackageReference).where(mine))
    await _no_longer_needed(session, [old])
    return [reference.video_id for reference in moved]


async def mark(session: AsyncSession) -> None:
    """Note of every package that no video needs that it is so from now on, unless noted before."""
    needed = sa.select(col(PackageReference.package_id))
    unmarked = col(PackageRow.unreferenced_at).is_(None)
    unneeded = unmarked & col(PackageRow.package_id).not_in(needed)
    await _set_unreferenced(session, unneeded, sa.func.now())


async def unneeded(session: AsyncSession, before: datetime) -> Sequence[str]:
    """Return the packages that no video has needed since `before`, and those already condemned."""
    statement = select(PackageRow.package_id).where(_removable(before))
    return (await session.exec(statement.order_by(PackageRow.package_id))).all()


async def condemn(session: AsyncSession, package_id: str, before: datetime) -> bool:
    """Decide, for good, that a package is removed; False when it is needed or being made."""
    mine = col(PackageRow.package_id) == package_id
    needed = sa.select(PackageReference).where(col(PackageReference.package_id) == package_id)
    done = await session.execute(
        sa.update(PackageRow)
        .where(mine, _removable(before), ~needed.exists())
        .values(state=CONDEMNED)
        .returning(col(PackageRow.package_id))
    )
    return done.first() is not None


async def forget_package(session: AsyncSession, package_id: str) -> None:
    """Remove all rows of a package."""
    for table in (ObjectRow, TaskRow, PackageReference, PackageRow):
        mine = sa.column("package_id") == package_id
        await session.execute(sa.delete(table).where(mine))


async def is_source(session: AsyncSession, key: str) -> bool:
    """Tell whether any package is, or was, made of the object under `key`."""
    statement = select(PackageRow.package_id).where(PackageRow.source_key == key).limit(1)
    return (await session.exec(statement)).first() is not None


def _removable(before: datetime) -> sa.ColumnElement[bool]:
    state = col(PackageRow.state)
    return (state == CONDEMNED) | ((state != PLANNED) & (col(PackageRow.unreferenced_at) <= before))


async def _no_longer_needed(session: AsyncSession, packages: Sequence[str]) -> list[str]:
    needed = select(PackageReference.package_id).where(
        col(PackageReference.package_id).in_(packages)
    )
    unneeded = sorted(set(packages) - set((await session.exec(needed)).all()))
    chosen = col(PackageRow.package_id).in_(unneeded)
    await _set_unreferenced(session, chosen, sa.func.now())
    return unneeded


async def _set_unreferenced(
    session: AsyncSession,
    chosen: sa.ColumnElement[bool],
    since: sa.ColumnElement[datetime] | None,
) -> None:
    """Note since when the chosen packages are not needed; their rows are locked in order."""
    ids = select(PackageRow.package_id).where(chosen).order_by(PackageRow.package_id)
    locked = list((await session.exec(ids.with_for_update())).all())
    mine = col(PackageRow.package_id).in_(locked)
    await session.execute(sa.update(PackageRow).where(mine).values(unreferenced_at=since))
