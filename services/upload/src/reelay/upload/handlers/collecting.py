"""Removes sources that no video needs any more, after a grace period: mark and sweep.

The mark is an object `marks/<name of the source>`, whose age is the time that the source has not
been needed. Killed anywhere, a collection leaves a mark too many or too few, and no harm.
"""

import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from reelay.common.database import Database
from reelay.common.storage.port import ObjectInfo, ObjectMissingError, ObjectStore
from reelay.common.upkeep import Removal, collecting_alone
from reelay.upload.adapters.sources import PREFIX, PostgresSources

MARKS = "marks/"


@dataclass(frozen=True)
class Collecting:
    """The use case of `reelay gc` for sources."""

    database: Database
    sources: PostgresSources
    store: ObjectStore
    grace_s: float

    async def collect(
        self, grace_s: float | None = None, *, dry_run: bool = False
    ) -> AsyncGenerator[Removal]:
        """Remove what has not been needed for the grace period; yield each.

        Raises CollectionRunningError.
        """
        spared_s = self.grace_s if grace_s is None else grace_s
        async with collecting_alone(self.database):
            async for info in self.store.scan(PREFIX):
                mark = MARKS + info.key.removeprefix(PREFIX)
                if await self.sources.is_needed(info.key):
                    await self._unmark(mark, dry_run=dry_run)
                elif await self._unneeded_for_s(info, mark, dry_run=dry_run) >= spared_s:
                    if not dry_run and not await self._remove(info.key, mark):
                        continue
                    yield Removal("source", info.key, 1, info.size_bytes, removed=not dry_run)

    async def _unneeded_for_s(self, info: ObjectInfo, mark: str, *, dry_run: bool) -> float:
        """Return how long an object is known not to be needed; it is marked if it was not."""
        if not dry_run:
            found = (await self.store.put(mark, b"")).info
        else:
            try:
                found = await self.store.head(mark)
            except ObjectMissingError:
                return 0.0
        return time.time() - found.modified_at_s

    async def _remove(self, key: str, mark: str) -> bool:
        """Remove a source unless somebody came to need it; tell whether it is gone."""
        async with self.sources.deciding(key) as needed:
            if not needed:
                await self.store.delete(key)
        await self.store.delete(mark)
        return not needed

    async def _unmark(self, mark: str, *, dry_run: bool) -> None:
        if not dry_run:
            await self.store.delete(mark)
