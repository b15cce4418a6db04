"""Finds what nothing needs any more, and removes it after a grace period: mark and sweep.

Every removal is decided anew in a transaction that holds the name of what is removed, as planning
does, so that neither a second collection nor a video that comes meanwhile is in danger.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from itertools import groupby
from uuid import UUID

from reelay.common.database import Database
from reelay.common.outbox import Outbox
from reelay.common.storage import ObjectInfo, ObjectStore
from reelay.common.upkeep import Removal, collecting_alone, time_ago
from reelay.packager.adapters import references, repository
from reelay.packager.adapters.tables import TaskRow
from reelay.packager.handlers.removing import Removed, delete_all, finish_removal, objects_of

UPLOADS = "uploads"
"""Folder below `staging/` that belongs to the upload service."""


class Collecting:
    """The use case of `reelay gc` for all that the packager owns."""

    def __init__(
        self, database: Database, outbox: Outbox, store: ObjectStore, grace_s: float
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._store = store
        self._grace_s = grace_s

    async def collect(
        self, grace_s: float | None = None, *, dry_run: bool = False
    ) -> AsyncGenerator[Removal]:
        """Remove what was needed, or stored, longer ago than the grace period; yield each.

        Raises CollectionRunningError.
        """
        age_s = self._grace_s if grace_s is None else grace_s
        async with collecting_alone(self._database):
            async for removal in self._packages(age_s, dry_run):
                yield removal
            async for removal in self._stray_packages(age_s, dry_run):
                yield removal
            async for removal in self._rewritten(age_s, dry_run):
                yield removal
            async for removal in self._staging(age_s, dry_run):
                yield removal

    async def _packages(self, age_s: float, dry_run: bool) -> AsyncIterator[Removal]:
        before = time_ago(age_s)
        async with self._outbox.transaction() as tx:
            if not dry_run:
                await references.mark(tx.session)
            names = await references.unneeded(tx.session, before)
        for package_id in names:
            if dry_run:
                yield _removal("package", package_id, await objects_of(self._store, package_id))
                continue
            async with self._outbox.transaction() as tx:
                await references.hold(tx.session, package_id)
                if not await references.condemn(tx.session, package_id, before):
                    continue
            async with self._outbox.transaction() as tx:
                await references.hold(tx.session, package_id)
                removed = await finish_removal(tx, self._store, package_id)
            if removed is not None:
                yield _removed("package", package_id, removed)

    async def _stray_packages(self, age_s: float, dry_run: bool) -> AsyncIterator[Removal]:
        """Remove objects of packages that no row knows, as after a restored database."""
        limit_s = time_ago(age_s).timestamp()
        async for package_id, objects in self._folders("packages/"):
            if any(info.modified_at_s > limit_s for info in objects):
                continue
            async with self._outbox.transaction() as tx:
                await references.hold(tx.session, package_id)
                if await repository.find(tx.session, package_id) is not None:
                    continue
                if not dry_run:
                    await delete_all(self._store, objects)
            yield _removal("stray", f"packages/{package_id}", objects, removed=not dry_run)

    async def _rewritten(self, age_s: float, dry_run: bool) -> AsyncIterator[Removal]:
        """Remove rewritten sources of which no package is made (they are made again at need)."""
        limit_s = time_ago(age_s).timestamp()
        async for info in self._store.scan("rewritten/"):
            if info.modified_at_s > limit_s:
                continue
            async with self._outbox.transaction() as tx:
                await references.hold(tx.session, info.key)
                if await references.is_source(tx.session, info.key):
                    continue
                if not dry_run:
                    await self._store.delete(info.key)
            yield _removal("rewritten", info.key, [info], removed=not dry_run)

    async def _staging(self, age_s: float, dry_run: bool) -> AsyncIterator[Removal]:
        """Remove staged segments of tasks that are done, replaced or given up.

        A task's row is there before its first segment is staged, and until the last was taken.
        """
        limit_s = time_ago(age_s).timestamp()
        async for folder, objects in self._folders("staging/"):
            if folder == UPLOADS:
                continue
            old = [o for o in objects if o.modified_at_s <= limit_s and o.key.count("/") > 2]
            for run, group in groupby(old, key=lambda info: info.key.split("/")[2]):
                staged = list(group)
                if await self._is_task(run):
                    continue
                if not dry_run:
                    await delete_all(self._store, staged)
                yield _removal("staging", f"staging/{folder}/{run}", staged, removed=not dry_run)

    async def _is_task(self, run: str) -> bool:
        """Tell whether a folder `<task_id>-<attempt>` belongs to a task that is under way."""
        try:
            task_id = UUID(run.rpartition("-")[0])
        except ValueError:
            return False
        async with self._outbox.transaction() as tx:
            return await tx.session.get(TaskRow, task_id) is not None

    async def _folders(self, prefix: str) -> AsyncIterator[tuple[str, list[ObjectInfo]]]:
        """Yield the folders below a prefix, each with all its objects."""
        name, objects = "", list[ObjectInfo]()
        async for info in self._store.scan(prefix):
            folder = info.key.split("/")[1]
            if folder != name and objects:
                yield name, objects
                objects = []
            name = folder
            objects.append(info)
        if objects:
            yield name, objects


def _removal(kind: str, name: str, objects: list[ObjectInfo], *, removed: bool = False) -> Removal:
    size_bytes = sum(info.size_bytes for info in objects)
    return Removal(kind, name, len(objects), size_bytes, removed)


def _removed(kind: str, name: str, removed: Removed) -> Removal:
    return Removal(kind, name, removed.objects, removed.size_bytes, removed=True)
