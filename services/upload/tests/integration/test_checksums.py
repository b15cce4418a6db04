"""Bytes that were damaged on their way are not kept (tus 1.0, section Checksum)."""

import asyncio

import pytest

from reelay.common.events import AssetUploaded

from .client import OCTETS, PART, checksum, movie
from .conftest import BOTH_STORES, System
from .outcomes import is_stored

pytestmark = pytest.mark.integration

CUT = PART + 1_000_000


@BOTH_STORES
@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
async def test_damaged_bytes_are_refused_and_none_of_them_kept(
    system: System, store_kind: str, algorithm: str
) -> None:
    data = movie(3 * PART)
    path = await system.client.create(len(data))
    first = checksum(algorithm, data[:CUT])
    assert (
        await system.client.patch(path, 0, data[:CUT], Upload_Checksum=first)
    ).status_code == 204
    rest = checksum(algorithm, data[CUT:])
    damaged = data[CUT:-1] + bytes([data[-1] ^ 1])
    response = await system.client.patch(path, CUT, damaged, Upload_Checksum=rest)
    assert (response.status_code, response.json()["type"]) == (460, "checksum-mismatch")
    assert await system.client.offset(path) == CUT
    assert await system.number_of(AssetUploaded) == 0
    right = await system.client.patch(path, CUT, data[CUT:], Upload_Checksum=rest)
    assert right.status_code == 204
    await is_stored(system, data)


async def test_damaged_first_bytes_do_not_end_an_upload_as_no_video(system: System) -> None:
    data = movie(100_000)
    path = await system.client.create(len(data))
    damaged = b"%PDF-1.7" + data[8:]
    response = await system.client.patch(path, 0, damaged, Upload_Checksum=checksum("sha1", data))
    assert response.status_code == 460
    right = await system.client.patch(path, 0, data, Upload_Checksum=checksum("sha1", data))
    assert right.status_code == 204


async def test_undamaged_text_is_refused_as_such(system: System) -> None:
    text = b"Just words. " * 1000
    path = await system.client.create(len(text))
    response = await system.client.patch(path, 0, text, Upload_Checksum=checksum("sha1", text))
    assert response.status_code == 415


async def test_bytes_of_a_broken_connection_cannot_be_checked_and_are_not_kept(
    system: System,
) -> None:
    data = movie(3 * PART)
    path = await system.client.create(len(data))
    whole = checksum("sha256", data)
    connection = system.client.half_open(
        path, 0, len(data), data[: 2 * PART + 5], Upload_Checksum=whole
    )
    await asyncio.sleep(0.5)
    connection.close()
    assert await system.client.offset(path) == 0
    for _ in range(100):
        response = await system.client.patch(path, 0, data, Upload_Checksum=whole)
        if response.status_code != 423:
            break
    assert response.status_code == 204


async def test_damaged_bytes_sent_with_the_creation_leave_nothing(system: System) -> None:
    data = movie(5000)
    headers = system.client.headers(
        Upload_Length=5000, Content_Type=OCTETS, Upload_Checksum=checksum("sha1", b"other")
    )
    response = await system.client.http.post("/api/v1/uploads", headers=headers, content=data)
    assert response.status_code == 460
    assert [*await system.keys("sources/"), *await system.keys("staging/")] == []


@pytest.mark.parametrize("header", ["crc32 AAAA", "sha1 ***", "sha1 AAAA", "sha256", "", "sha1"])
async def test_checksum_that_makes_no_sense_is_refused(system: System, header: str) -> None:
    path = await system.client.create(5000)
    response = await system.client.patch(path, 0, movie(5000), Upload_Checksum=header)
    assert response.status_code == 400
    assert response.json()["detail"].startswith("Upload-Checksum")
    assert await system.client.offset(path) == 0
