"""Staged segments of a batch are fetched and removed at the same time, as far stores need it."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from uuid import uuid4

import pytest

from reelay.common.commands import Lane, SegmentsStored
from reelay.common.events import SegmentReady
from reelay.common.service import background
from reelay.common.storage import ObjectInfo, ObjectMissingError
from reelay.common.storage.filesystem import FilesystemObjectStore
from reelay.packager.adapters.shaka import (
    CmafSegment,
    PackagingFailedError,
    RawSegment,
    ShakaPackager,
)
from reelay.packager.handlers.bookkeeping import Bookkeeping, UnderWay
from reelay.packager.handlers.packaging import BATCH, Packaging, StagedSegmentGoneError
from reelay.packager.handlers.repairing import Repairing

from ..unit.plans import plan
from .house import House

pytestmark = pytest.mark.integration


class FarStore(FilesystemObjectStore):
    """Answers reads, and deletions, when as many were begun as there are in a batch.

    What it lost it answers first, and the rest once it was asked whether it has anything.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._reads, self._deletions = asyncio.Barrier(BATCH), asyncio.Barrier(BATCH)
        self._met: set[asyncio.Barrier] = set()
        self._doubted = asyncio.Event()
        self.lost = ""

    def local_path(self, key: str) -> Path | None:
        """See ObjectStore."""
        return None

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """See ObjectStore."""
        await self._meet(self._reads)
        if key == self.lost:
            raise ObjectMissingError(key)
        if self.lost:
            await self._doubted.wait()
            for _ in range(20):  # turns of the loop, in which the failure is known to its batch
                await asyncio.sleep(0)
        async for block in super().read(key, start, end):
            yield block

    async def scan(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        """See ObjectStore."""
        try:
            async for info in super().scan(prefix):
                yield info
        finally:
            self._doubted.set()

    async def delete(self, key: str) -> None:
        """See ObjectStore."""
        await self._meet(self._deletions)
        await super().delete(key)

    async def _meet(self, others: asyncio.Barrier) -> None:
        if others not in self._met:
            await others.wait()
            self._met.add(others)


class FailingShaka(ShakaPackager):
    """Notes what it is given, and packages nothing."""

    def __init__(self) -> None:
        super().__init__("/nowhere/packager")
        self.calls: list[list[bytes]] = []

    async def package(self, segments: Sequence[RawSegment]) -> list[CmafSegment]:
        """See ShakaPackager."""
        self.calls.append([segment.path.read_bytes() for segment in segments])
        raise PackagingFailedError("on purpose")


class Willing(Bookkeeping):
    """Wants every segment, or none."""

    def __init__(self, house: House, *, wants: bool) -> None:
        super().__init__(house.outbox, house.store, house.dispatcher)
        self._wants = wants

    async def wanted(
        self, batch: Sequence[SegmentReady]
    ) -> tuple[list[SegmentReady], dict[str, UnderWay]]:
        """See Bookkeeping."""
        return list(batch) if self._wants else [], {"p": UnderWay(plan(), {})}


async def tell(news: SegmentsStored) -> None:
    raise AssertionError("nothing is stored here")


class Staging:
    """A packager, and a batch of segments that lie staged in a far store."""

    def __init__(self, house: House, folder: Path, *, wants: bool) -> None:
        self.store, self.shaka = FarStore(folder), FailingShaka()
        repairing = Repairing(house.outbox, self.store, house.dispatcher)
        books = Willing(house, wants=wants)
        self._packaging = Packaging(self.store, self.shaka, books, repairing, tell)
        self.batch = [
            SegmentReady(
                task_id=uuid4(),
                package_id="p",
                rendition="360p",
                number=number,
                lane=Lane.LADDER,
                staging_key=f"staging/{number}",
                size_bytes=1,
            )
            for number in range(BATCH)
        ]

    async def fill(self) -> None:
        """Stage the batch, in a store that is in use."""
        await self.store.put("sources/x", b"x")
        for ready in self.batch:
            await self.store.put(ready.staging_key, str(ready.number).encode())

    async def package(self) -> list[BaseException | None]:
        """Hand all segments over; return what became of each."""
        async with background(self._packaging.run()), asyncio.timeout(60):
            handed = map(self._packaging.package_segment, self.batch)
            return list(await asyncio.gather(*handed, return_exceptions=True))


@pytest.fixture
def scratch_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], list[Path]]:
    """Lists the folders for a moment's files that this test has left."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return lambda: list(folder.iterdir())


async def test_staged_segments_are_fetched_at_the_same_time(
    house: House, tmp_path: Path, scratch_folders: Callable[[], list[Path]]
) -> None:
    staging = Staging(house, tmp_path / "far", wants=True)
    await staging.fill()
    failures = await staging.package()
    assert staging.shaka.calls[0] == [str(number).encode() for number in range(BATCH)]
    assert {type(failure) for failure in failures} == {PackagingFailedError}
    assert scratch_folders() == []


async def test_missing_one_of_those_fetched_together_leaves_no_copy_of_the_others(
    house: House, tmp_path: Path, scratch_folders: Callable[[], list[Path]]
) -> None:
    staging = Staging(house, tmp_path / "far", wants=True)
    await staging.fill()
    staging.store.lost = staging.batch[3].staging_key
    failures = await staging.package()
    gone = [n for n, failure in enumerate(failures) if isinstance(failure, StagedSegmentGoneError)]
    assert (gone, len(staging.shaka.calls)) == ([3], BATCH - 1)
    assert scratch_folders() == []


async def test_staged_segments_are_removed_at_the_same_time(house: House, tmp_path: Path) -> None:
    staging = Staging(house, tmp_path / "far", wants=False)
    await staging.fill()
    assert await staging.package() == [None] * BATCH
    assert [info.key async for info in staging.store.scan("staging/")] == []
