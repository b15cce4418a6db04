"""In whose turns packages are made that videos of several owners need."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import aliased
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from reelay.packager.adapters.tables import PackageReference, PackageTurn

_name = col(PackageTurn.package_id)
_present = col(PackageTurn.owner_id)


async def better_owners(session: AsyncSession, package_id: str | None = None) -> dict[str, str]:
    """Return packages that are made in the turns of the wrong one of their owners, and the right.

    That is one who has fewer others being made, or anyone where the present one does not need it
    any more. With `package_id`, look at that package alone.
    """
    reference = aliased(PackageReference)
    owner = col(reference.owner_id)
    theirs, others = _counts("theirs"), _counts("others")
    fewest = sa.func.coalesce(theirs.c.made, 0)
    statement = (
        sa.select(_name, owner)
        .join(reference, sa.and_(col(reference.package_id) == _name, owner != _present))
        .join(others, others.c.owner_id == _present)
        .outerjoin(theirs, theirs.c.owner_id == owner)
        .where((fewest < others.c.made - 1) | ~_is_needed())  # without the package itself
        .ext(distinct_on(_name))
        .order_by(_name, fewest, owner)
    )
    if package_id is not None:
        statement = statement.where(_name == package_id)
    rows = (await session.execute(statement)).all()
    return {name: better for name, better in rows}


def _counts(name: str) -> sa.Subquery:
    """Select how many packages are being made in each owner's turns."""
    owner = col(PackageTurn.owner_id)
    return sa.select(owner, sa.func.count().label("made")).group_by(owner).subquery(name)


def _is_needed() -> sa.ColumnElement[bool]:
    """Tell whether the one in whose turns a package is made has a video that needs it.

    A video of nobody knows whom may be theirs.
    """
    mine = aliased(PackageReference)
    owner = col(mine.owner_id)
    return (
        sa.select(owner)
        .where(col(mine.package_id) == _name, (owner == _present) | owner.is_(None))
        .exists()
    )
