"""No confirmed byte is lost, whatever breaks."""

import asyncio

import pytest

from reelay.common.events import AssetUploaded

from .client import PART, movie
from .conftest import BOTH_STORES, System
from .outcomes import is_stored, until_offset

pytestmark = pytest.mark.integration


async def finish(system: System, path: str, data: bytes, offset: int) -> None:
    """Send the rest and check that the file is whole."""
    response = await system.client.patch(path, offset, data[offset:])
    assert response.status_code == 204, response.text
    await is_stored(system, data)


@BOTH_STORES
@pytest.mark.parametrize("sent", [1_500_000, PART + 1_500_000])
async def test_dropped_connection_keeps_what_was_received(
    system: System, store_kind: str, sent: int
) -> None:
    data = movie(PART + 3_000_000)
    path = await system.client.create(len(data))
    connection = system.client.half_open(path, 0, len(data), data[:sent])
    connection.close()
    await until_offset(system.client, path, sent)
    await finish(system, path, data, sent)


@BOTH_STORES
async def test_killed_service_keeps_what_head_confirmed(system: System, store_kind: str) -> None:
    data = movie(3 * PART + 10)
    path = await system.client.create(len(data))
    first = await system.client.patch(path, 0, data[:1000])
    assert first.status_code == 204
    connection = system.client.half_open(path, 1000, len(data) - 1000, data[1000 : 2 * PART + 9])
    await until_offset(system.client, path, 2 * PART)
    system.program.kill()
    connection.close()
    await system.restarted()
    assert await system.client.offset(path) == 2 * PART
    await finish(system, path, data, 2 * PART)


async def test_stopped_service_keeps_all_it_received(system: System) -> None:
    data = movie(3_000_000)
    path = await system.client.create(len(data))
    connection = system.client.half_open(path, 0, len(data), data[:1_000_000])
    await asyncio.sleep(0.3)
    await asyncio.to_thread(system.program.stop)
    answer = connection.recv(4096)
    connection.close()
    assert answer.startswith(b"HTTP/1.1 503")
    await system.restarted()
    assert await system.client.offset(path) == 1_000_000
    await finish(system, path, data, 1_000_000)


async def test_silent_connection_gives_way_to_a_newer_one(system: System) -> None:
    data = movie(3_000_000)
    path = await system.client.create(len(data))
    with system.client.half_open(path, 0, len(data), data[:1_000_000]):
        await until_offset(system.client, path, 1_000_000)
        await finish(system, path, data, 1_000_000)


@pytest.mark.parametrize("extra_settings", [{"UPLOAD_STALL_LIMIT_S": "0.3"}])
async def test_client_that_falls_silent_is_told_and_loses_nothing(system: System) -> None:
    data = movie(100_000)
    path = await system.client.create(len(data))
    with system.client.half_open(path, 0, len(data), data[:60_000]) as connection:
        connection.settimeout(10)
        answer = await asyncio.to_thread(connection.recv, 4096)
    assert answer.startswith(b"HTTP/1.1 408")
    assert await system.client.offset(path) == 60_000
    await finish(system, path, data, 60_000)


async def test_lost_tail_sends_the_client_back_to_the_last_part(system: System) -> None:
    data = movie(PART + 2_000_000)
    path = await system.client.create(len(data))
    await system.client.patch(path, 0, data[: PART + 1_000_000])
    for key in await system.keys("staging/"):
        await system.store.delete(key)
    response = await system.client.patch(path, PART + 1_000_000, data[PART + 1_000_000 :])
    assert response.status_code == 409
    assert await system.client.offset(path) == PART
    await finish(system, path, data, PART)


async def test_repeated_last_request_is_answered_again(system: System) -> None:
    data = movie(5000)
    path = await system.client.create(len(data))
    await system.client.patch(path, 0, data)
    again = await system.client.patch(path, len(data), b"")
    assert (again.status_code, again.headers["upload-offset"]) == (204, "5000")
    assert await system.number_of(AssetUploaded) == 1
