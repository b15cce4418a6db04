"""Files come in whole, are named by their bytes and announced."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest

from reelay.common.events import AssetUploaded
from reelay.common.storage.port import read_all

from .client import PART, asset_id_of, id_of, movie
from .conftest import BOTH_STORES, System
from .outcomes import is_announced, is_stored

pytestmark = pytest.mark.integration


@BOTH_STORES
@pytest.mark.parametrize("size_bytes", [1000, PART, PART + 1, 2 * PART, 20_000_000])
async def test_whole_file_is_stored_named_and_announced(
    system: System, size_bytes: int, store_kind: str
) -> None:
    video_id = await system.draft()
    data = movie(size_bytes)
    path = await system.client.create(size_bytes, video_id=video_id, filename="a/b/holiday.mp4")
    response = await system.client.patch(path, 0, data)
    assert (response.status_code, response.headers["upload-offset"]) == (204, str(size_bytes))
    assert response.headers["tus-resumable"] == "1.0.0"

    await is_announced(system, path, data, video_id=video_id, filename="holiday.mp4")
    assert await system.client.offset(path) == size_bytes


async def test_file_may_come_in_many_small_requests(system: System) -> None:
    data = movie(PART + 300_000)
    path = await system.client.create(len(data))
    cuts = [0, 100, 3000, 5000, 400_000, PART - 1, PART, PART + 5, len(data)]
    for start, end in pairwise(cuts):
        response = await system.client.patch(path, start, data[start:end])
        assert response.headers["upload-offset"] == str(end), response.text
    await is_stored(system, data)


@BOTH_STORES
async def test_same_bytes_twice_leave_one_source(system: System, store_kind: str) -> None:
    data = movie(PART + 1000)
    paths = [await system.client.create(len(data), filename=f"{n}.mp4") for n in range(2)]
    for path in paths:
        assert (await system.client.patch(path, 0, data)).status_code == 204
    first, second = await system.facts(AssetUploaded, 2)
    assert first.asset_id == second.asset_id == asset_id_of(data)
    assert second.source_key == first.source_key == f"sources/{id_of(paths[0])}"
    assert await system.keys("sources/") == [first.source_key]


async def test_second_upload_is_kept_when_the_first_object_is_gone(system: System) -> None:
    data = movie(1000)
    for _ in range(2):
        path = await system.client.create(len(data))
        assert (await system.client.patch(path, 0, data)).status_code == 204
        await system.store.delete(f"sources/{id_of(path)}")
    path = await system.client.create(len(data))
    assert (await system.client.patch(path, 0, data)).status_code == 204
    fact = (await system.facts(AssetUploaded, 3))[-1]
    assert fact.source_key == f"sources/{id_of(path)}"
    assert await read_all(system.store, fact.source_key) == data


async def test_same_bytes_at_the_same_time_leave_one_source(system: System) -> None:
    data = movie(300_000)
    paths = [await system.client.create(len(data)) for _ in range(4)]
    await asyncio.gather(*[system.client.patch(path, 0, data) for path in paths])
    facts = await system.facts(AssetUploaded, 4)
    assert len({fact.source_key for fact in facts}) == 1
    assert await system.keys("sources/") == [facts[0].source_key]


async def test_body_without_length_is_taken(system: System) -> None:
    data = movie(3_000_000)

    async def blocks() -> AsyncIterator[bytes]:
        for at in range(0, len(data), 500_000):
            yield data[at : at + 500_000]

    path = await system.client.create(len(data))
    assert (await system.client.patch(path, 0, blocks())).status_code == 204
    [fact] = await system.facts(AssetUploaded, 1)
    assert fact.asset_id == asset_id_of(data)


async def test_first_bytes_may_come_with_the_creation(system: System) -> None:
    data = movie(5000)
    response = await system.client.post(len(data), data)
    assert (response.status_code, response.headers["upload-offset"]) == (201, "5000")
    [fact] = await system.facts(AssetUploaded, 1)
    assert fact.asset_id == asset_id_of(data)
