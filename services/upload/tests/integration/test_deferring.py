"""A file's length may be told after its bytes (tus 1.0, Upload-Defer-Length)."""

import pytest

from reelay.common.events import AssetUploaded, AssetUploadStarted
from reelay.common.storage.port import read_all

from .client import PART, asset_id_of, movie
from .conftest import BOTH_STORES, System

pytestmark = pytest.mark.integration


async def deferred(system: System) -> str:
    response = await system.client.begin(Upload_Defer_Length=1)
    assert response.status_code == 201, response.text
    path: str = response.headers["location"]
    return path


@BOTH_STORES
@pytest.mark.parametrize("size_bytes", [3000, PART, 2 * PART, 2 * PART + 70_000])
@pytest.mark.parametrize("told_with_bytes", [True, False])
async def test_length_may_be_told_with_the_last_bytes_or_after_them(
    system: System, store_kind: str, size_bytes: int, told_with_bytes: bool
) -> None:
    data = movie(size_bytes)
    path = await deferred(system)
    head = await system.client.head(path)
    assert head.headers["upload-defer-length"] == "1"
    assert "upload-length" not in head.headers
    cut = size_bytes // 2 if told_with_bytes else size_bytes
    assert (await system.client.patch(path, 0, data[:cut])).status_code == 204
    assert await system.number_of(AssetUploaded) == 0
    last = await system.client.patch(path, cut, data[cut:], Upload_Length=size_bytes)
    assert (last.status_code, last.headers["upload-offset"]) == (204, str(size_bytes))
    [fact] = await system.facts(AssetUploaded, 1)
    assert (fact.asset_id, fact.size_bytes) == (asset_id_of(data), size_bytes)
    assert await read_all(system.store, fact.source_key) == data
    assert await system.keys("staging/") == []
    assert (await system.client.head(path)).headers["upload-length"] == str(size_bytes)
    [started] = await system.facts(AssetUploadStarted, 1)
    assert started.size_bytes is None


async def test_length_once_told_cannot_change(system: System) -> None:
    path = await deferred(system)
    await system.client.patch(path, 0, movie(1000))
    short = await system.client.patch(path, 1000, b"", Upload_Length=999)
    assert (short.status_code, "1000 bytes already" in short.json()["detail"]) == (400, True)
    assert (await system.client.patch(path, 1000, b"", Upload_Length=2000)).status_code == 204
    other = await system.client.patch(path, 1000, b"", Upload_Length=3000)
    assert (other.status_code, "2000" in other.json()["detail"]) == (400, True)
    assert (await system.client.patch(path, 1000, b"", Upload_Length=2000)).status_code == 204
    beyond = await system.client.patch(path, 1000, bytes(1001))
    assert (beyond.status_code, beyond.json()["type"]) == (413, "beyond-upload-length")


async def test_text_shorter_than_any_header_is_refused_when_it_ends(system: System) -> None:
    path = await deferred(system)
    assert (await system.client.patch(path, 0, b"#EXTM3U\n")).status_code == 204
    response = await system.client.patch(path, 8, b"", Upload_Length=8)
    assert (response.status_code, response.json()["type"]) == (415, "not-media")
    assert await system.keys("staging/") == []


@pytest.mark.parametrize("extra_settings", [{"UPLOAD_MAX_SIZE_BYTES": "10000"}])
async def test_file_of_unknown_length_may_not_grow_beyond_the_limit(system: System) -> None:
    path = await deferred(system)
    assert (await system.client.patch(path, 0, movie(10_000))).status_code == 204
    response = await system.client.patch(path, 10_000, b"x")
    assert response.status_code == 413
    assert "at most 10000 bytes" in response.json()["detail"]
    assert (await system.client.patch(path, 10_000, b"", Upload_Length=10_001)).status_code == 413
    assert (await system.client.patch(path, 10_000, b"", Upload_Length=10_000)).status_code == 204
