"""The publisher of restrictions, with packages that cannot be told and a database of its own."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import col, select

from reelay.catalog.restrictions.publisher import AccessPublisher
from reelay.catalog.restrictions.tables import AccessRow
from reelay.common.content_access import Access, mark_key
from reelay.common.database import Database
from reelay.common.messaging import Messaging
from reelay.common.storage import (
    FilesystemObjectStore,
    ObjectStore,
    PutResult,
    StoreUnavailableError,
)
from reelay.common.streams import ACCESS
from reelay.common.testing.servers import Program

from .test_restrictions import told

pytestmark = pytest.mark.integration

BATCH = 2
STUCK = [f"{n:064x}" for n in range(5)]
"""More than two batches of packages that cannot be told; they are the oldest."""
WELL = [f"{n:064x}" for n in range(5, 8)]
TOO_MANY = [str(UUID(int=n)) for n in range(100)]
MAX_MESSAGE_BYTES = 2000
"""What the broker is made to take here: less than a message about so many videos."""


@pytest.fixture
def tables_of() -> str:
    return "reelay.catalog"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


class PickyStore(FilesystemObjectStore):
    """Takes no marks of some packages."""

    refused: Sequence[str] = ()

    async def put(self, key: str, data: Any) -> PutResult:
        if any(package_id in key for package_id in self.refused):
            raise StoreUnavailableError
        return await super().put(key, data)


async def restrict(database: Database, videos: dict[str, list[str]]) -> None:
    """Commit that packages need tokens of these videos, one after the other."""
    async with database.transaction() as session:
        for revision, (package_id, video_ids) in enumerate(videos.items(), 1):
            row = AccessRow(package_id=package_id, access=Access.TOKEN, revision=revision)
            row.video_ids = video_ids
            session.add(row)


@asynccontextmanager
async def publishing(
    database: Database, messaging: Messaging, store: ObjectStore
) -> AsyncIterator[AccessPublisher]:
    publisher = AccessPublisher(database, messaging, store, batch=BATCH)
    running = asyncio.create_task(publisher.run())
    try:
        yield publisher
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def until_marked(store: ObjectStore, packages: Sequence[str]) -> None:
    expected = {mark_key(package_id, Access.TOKEN) for package_id in packages}
    async with asyncio.timeout(10):
        while {item.key async for item in store.scan("access/")} != expected:  # noqa: ASYNC110  # polls
            await asyncio.sleep(0.02)


async def until_all_told(messaging: Messaging, packages: Sequence[str]) -> None:
    async with asyncio.timeout(10):
        for package_id in packages:
            while await told(messaging, package_id) is None:  # noqa: ASYNC110  # polls
                await asyncio.sleep(0.02)


async def until_pending(database: Database, packages: Sequence[str]) -> None:
    """Return when these packages, and no others, wait for somebody to be told."""
    waiting = select(AccessRow.package_id).where(col(AccessRow.published) < AccessRow.revision)
    async with asyncio.timeout(20):
        while True:
            async with database.autocommit() as session:
                if set(await session.exec(waiting)) == set(packages):
                    return
            await asyncio.sleep(0.02)


async def test_packages_that_the_store_refuses_starve_no_others(
    database: Database, messaging: Messaging, tmp_path: Path
) -> None:
    await messaging.start()
    await restrict(database, {package_id: [] for package_id in STUCK + WELL})
    store = PickyStore(tmp_path / "store")
    store.refused = STUCK
    async with publishing(database, messaging, store):
        await until_all_told(messaging, STUCK + WELL)
        await until_marked(store, WELL)
        await until_pending(database, STUCK)
        store.refused = ()
        await until_marked(store, STUCK + WELL)
        await until_pending(database, [])


async def test_packages_that_the_broker_refuses_starve_no_others(
    database: Database, messaging: Messaging, store: ObjectStore
) -> None:
    await messaging.start()
    await messaging.jetstream.update_stream(replace(ACCESS, max_msg_size=MAX_MESSAGE_BYTES))
    videos = {package_id: TOO_MANY for package_id in STUCK}
    await restrict(database, videos | {package_id: [] for package_id in WELL})
    async with publishing(database, messaging, store):
        await until_marked(store, STUCK + WELL)
        await until_all_told(messaging, WELL)
        await until_pending(database, STUCK)
    assert await told(messaging, STUCK[0]) is None


async def test_without_the_broker_more_than_a_batch_is_marked_and_told_later(
    database: Database, messaging: Messaging, store: ObjectStore, nats: Program
) -> None:
    await messaging.start()
    nats.kill()
    await restrict(database, {package_id: [] for package_id in STUCK + WELL})
    async with publishing(database, messaging, store):
        await until_marked(store, STUCK + WELL)
        nats.start()
        await until_all_told(messaging, STUCK + WELL)
        await until_pending(database, [])
