"""A sweep that fails is tried again; what cannot be finished keeps nothing else from it."""

import asyncio
from collections.abc import AsyncIterator, Container
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from reelay.common.database import DatabaseUnavailableError
from reelay.common.identity import new_id
from reelay.upload.domain.errors import UploadGoneError
from reelay.upload.domain.upload import Upload
from reelay.upload.handlers.sweeping import Sweeping


class Rows:
    """Uploads that were left whole; asking for them fails as told."""

    def __init__(self, *left: Upload, failures: list[Exception] | None = None) -> None:
        self.left = left
        self.failures = failures or []

    async def unfinished_business(self) -> AsyncIterator[Upload]:
        if self.failures:
            raise self.failures.pop(0)
        for upload in self.left:
            yield upload

    async def stale(self, before: datetime) -> AsyncIterator[Upload]:
        for upload in list[Upload]():
            yield upload

    async def attempts_in_use(self) -> set[str]:
        return {upload.attempt for upload in self.left if upload.attempt}

    async def forget_ended(self, before: datetime) -> int:
        return 0


class World:
    """The store, the holds and the use cases, as far as a sweep needs them."""

    def __init__(self, lost: UUID | None = None) -> None:
        self.lost = lost
        self.finished: list[UUID] = []
        self.kept: Container[str] = ()
        self.swept = asyncio.Event()

    @asynccontextmanager
    async def hold(self, upload_id: UUID) -> AsyncIterator[None]:
        yield

    async def finish_left(self, upload_id: UUID) -> None:
        if upload_id == self.lost:
            raise UploadGoneError
        self.finished.append(upload_id)

    async def sweep(self, older_than_s: float, keep: Container[str]) -> int:
        self.kept = keep
        self.swept.set()
        return 0


def sweeping(rows: Rows, world: World) -> Sweeping:
    parts = cast(Any, (world, rows, world, world))
    return Sweeping(*parts, expires_after_s=60, interval_s=0)


def whole() -> Upload:
    return Upload(new_id(), "ada", 10, offset_bytes=10)


async def test_database_that_is_away_ends_no_sweeping() -> None:
    world = World()
    rows = Rows(failures=[DatabaseUnavailableError()])
    running = asyncio.create_task(sweeping(rows, world).run())
    swept = asyncio.create_task(world.swept.wait())
    await asyncio.wait({running, swept}, return_when=asyncio.FIRST_COMPLETED)
    assert world.swept.is_set()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_upload_whose_parts_are_lost_keeps_no_other_from_being_finished() -> None:
    lost, other = whole(), whole()
    world = World(lost.id)
    await sweeping(Rows(lost, other), world).sweep()
    assert world.finished == [other.id]
    assert world.swept.is_set()


async def test_store_is_told_which_attempts_are_in_use() -> None:
    upload, world = replace(whole(), attempt="begun long ago"), World()
    await sweeping(Rows(upload), world).sweep()
    assert "begun long ago" in world.kept
