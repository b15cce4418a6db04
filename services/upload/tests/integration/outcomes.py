"""What is announced and stored of files in the end, however they came."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import httpx

from reelay.common.events import AssetUploaded, AssetUploadStarted
from reelay.common.storage.port import read_all

from .client import TusClient, asset_id_of, id_of

if TYPE_CHECKING:
    from .conftest import System


async def is_stored(system: "System", data: bytes) -> None:
    """Assert that these bytes, and no others, were announced and lie in the store."""
    [fact] = await system.facts(AssetUploaded, 1)
    assert fact.asset_id == asset_id_of(data)
    assert fact.size_bytes == len(data)
    assert await read_all(system.store, fact.source_key) == data
    assert await system.number_of(AssetUploaded) == 1
    assert await system.keys("staging/") == []


async def until_offset(client: TusClient, path: str, expected: int) -> None:
    """Return when the server has made so many bytes durable."""
    async with asyncio.timeout(30):
        while (found := await client.offset(path)) != expected:
            assert found < expected, "bytes that nobody sent"
            await asyncio.sleep(0.02)


async def is_announced(
    system: "System", path: str, data: bytes, *, video_id: UUID, filename: str
) -> None:
    """Assert that these bytes are stored and the upload at `path` was announced with all it has."""
    [started] = await system.facts(AssetUploadStarted, 1)
    assert started.video_id == video_id
    [fact] = await system.facts(AssetUploaded, 1)
    assert fact == AssetUploaded(
        upload_id=id_of(path),
        video_id=video_id,
        asset_id=asset_id_of(data),
        source_key=f"sources/{id_of(path)}",
        size_bytes=len(data),
        filename=filename,
    )
    await is_stored(system, data)


async def one_is_stored(
    system: "System", files: Sequence[bytes], answers: Sequence[httpx.Response]
) -> None:
    """Assert that one of those who sent files to one upload succeeded, and that its is stored."""
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses.count(204) == 1, statuses
    assert set(statuses) <= {204, 409, 423}
    [fact] = await system.facts(AssetUploaded, 1)
    assert fact.asset_id in {asset_id_of(data) for data in files}
    assert asset_id_of(await read_all(system.store, fact.source_key)) == fact.asset_id


async def second_is_no_copy(system: "System") -> None:
    """Assert that two files with the same bytes were announced and are stored once."""
    first, second = await system.facts(AssetUploaded, 2)
    assert (second.asset_id, second.source_key) == (first.asset_id, first.source_key)
    assert await system.keys("sources/") == [first.source_key]


async def nothing_is_stored(system: "System") -> None:
    """Assert that nothing is left in the store; tidying follows the end of an upload."""
    async with asyncio.timeout(10):
        while [*await system.keys("sources/"), *await system.keys("staging/")]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
