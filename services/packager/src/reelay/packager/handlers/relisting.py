"""Finds what a package was announced to consist of, when the database lists something else."""

from collections.abc import Sequence

import structlog
from sqlmodel.ext.asyncio.session import AsyncSession

from reelay.common.storage import ObjectMissingError, ObjectStore, read_all
from reelay.packager.adapters import repository
from reelay.packager.adapters.tables import ObjectRow, PackageRow
from reelay.packager.domain.outcome import INDEX, StoredObject, index, listed

log = structlog.get_logger()


async def announced_objects(
    session: AsyncSession, store: ObjectStore, row: PackageRow
) -> Sequence[ObjectRow] | None:
    """Return the objects of a package that was complete; None when nobody knows them any more.

    The root digest tells whether the database's list is the one; else that of the stored index may
    be, and takes its place.
    """
    rows = await repository.objects(session, row.package_id)
    if _root([StoredObject(o.path, o.size_bytes, o.sha256) for o in rows], row) == row.root_digest:
        return rows
    try:
        once = listed(await read_all(store, f"packages/{row.package_id}/{INDEX}"))
    except (ObjectMissingError, ValueError):
        return None
    if _root(once, row) != row.root_digest:
        return None
    known = {o.path: o for o in rows}
    for item in once:
        kept = known.pop(item.path, None) or ObjectRow(
            package_id=row.package_id, path=item.path, size_bytes=0, sha256=""
        )
        kept.size_bytes, kept.sha256 = item.size_bytes, item.sha256
        session.add(kept)
    for never_announced in known.values():
        await session.delete(never_announced)
    await session.flush()
    log.warning("took the list of objects from the index", package_id=row.package_id)
    return await repository.objects(session, row.package_id)


def _root(objects: Sequence[StoredObject], row: PackageRow) -> str:
    return index(row.package_id, objects).root_digest
