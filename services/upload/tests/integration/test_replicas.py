"""Two replicas over one database and one store never mix their clients' bytes."""

import asyncio
import time
from collections.abc import AsyncIterator
from itertools import pairwise

import httpx
import psycopg
import pytest

from .client import PART, TusClient, id_of, movie, slowly
from .conftest import System
from .outcomes import is_stored, one_is_stored, until_offset

pytestmark = pytest.mark.integration


@pytest.fixture
def other(system: System, second_replica: httpx.AsyncClient) -> TusClient:
    return TusClient(second_replica, system.client.token)


async def test_sender_at_another_replica_is_locked_out(system: System, other: TusClient) -> None:
    ours, theirs = movie(PART + 500_000, seed=1), movie(PART + 500_000, seed=2)
    path = await system.client.create(len(ours))
    first = asyncio.create_task(system.client.patch(path, 0, slowly(ours, 40, 0.1)))
    await asyncio.sleep(0.5)
    second = await other.patch(path, 0, theirs)
    assert (second.status_code, second.json()["type"]) == (423, "upload-locked")
    assert (await first).status_code == 204
    await is_stored(system, ours)


async def test_many_senders_at_both_replicas_leave_one_sender_s_file(
    system: System, other: TusClient
) -> None:
    files = [movie(PART + 1000, seed=seed) for seed in range(6)]
    path = await system.client.create(PART + 1000)
    answers = await asyncio.gather(
        *[
            (system.client, other)[number % 2].patch(path, 0, data)
            for number, data in enumerate(files)
        ]
    )
    await one_is_stored(system, files, answers)


async def test_replica_that_loses_its_hold_unawares_leaves_one_sender_s_file(
    system: System, other: TusClient, database_url: str
) -> None:
    files = [movie(5000, seed=1), movie(5000, seed=2)]
    path = await system.client.create(5000)
    dsn = database_url.replace("postgresql+psycopg://", "postgresql://")
    async with (
        await psycopg.AsyncConnection.connect(dsn) as slow,
        await psycopg.AsyncConnection.connect(dsn, autocommit=True) as looking,
    ):
        await slow.execute("SELECT 1 FROM uploads WHERE id = %s FOR UPDATE", (id_of(path),))
        first = asyncio.create_task(system.client.patch(path, 0, files[0]))
        await until_waiting(looking, 1)
        await looking.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks NATURAL JOIN pg_stat_activity"
            " WHERE locktype = 'advisory' AND datname = current_database() AND state = 'idle'"
        )
        second = asyncio.create_task(other.patch(path, 0, files[1]))
        await until_waiting(looking, 2)
        await slow.rollback()
        await one_is_stored(system, files, [await first, await second])


async def until_waiting(looking: psycopg.AsyncConnection, count: int) -> None:
    """Return when so many transactions wait for a row."""
    query = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(20):
        while True:
            row = await (await looking.execute(query)).fetchone()
            if row == (count,):
                return
            await asyncio.sleep(0.02)


async def test_silent_sender_gives_way_to_one_at_another_replica(
    system: System, other: TusClient
) -> None:
    data = movie(3_000_000)
    path = await system.client.create(len(data))
    with system.client.half_open(path, 0, len(data), data[:1_000_000]):
        await until_offset(other, path, 1_000_000)  # what the silent one sent is kept
        assert (await other.patch(path, 1_000_000, data[1_000_000:])).status_code == 204
    await is_stored(system, data)


async def test_replica_that_is_killed_while_it_holds_an_upload_is_replaced_at_once(
    system: System, other: TusClient
) -> None:
    data = movie(2 * PART + 10)

    async def dripping() -> AsyncIterator[bytes]:
        yield data[: PART + 1000]
        for at in range(PART + 1000, len(data)):
            yield data[at : at + 1]
            await asyncio.sleep(0.1)

    path = await system.client.create(len(data))
    sending = asyncio.create_task(system.client.patch(path, 0, dripping()))
    for _ in range(100):
        if await other.offset(path) == PART:
            break
    system.program.kill()
    started = time.monotonic()
    assert await other.offset(path) == PART
    assert (await other.patch(path, PART, data[PART:])).status_code == 204
    assert time.monotonic() - started < 10, "the dead replica still held the upload"
    await asyncio.gather(sending, return_exceptions=True)
    await is_stored(system, data)


async def test_upload_is_withdrawn_at_a_replica_that_does_not_receive_it(
    system: System, other: TusClient
) -> None:
    data = movie(3_000_000)
    path = await system.client.create(len(data))
    with system.client.half_open(path, 0, len(data), data[:1_000_000]):
        await asyncio.sleep(0.3)
        assert (await other.delete(path)).status_code == 204
    assert (await other.head(path)).status_code == 410
    assert await system.keys("staging/") == []


async def test_joining_that_a_killed_replica_began_is_finished_by_another(
    system: System, other: TusClient
) -> None:
    data = movie(4 * PART)
    cuts = [0, PART + 7, 3 * PART, len(data)]
    paths = [await system.client.partial(data[a:b]) for a, b in pairwise(cuts)]
    joining = asyncio.create_task(system.client.join(paths))
    await asyncio.sleep(0.05)
    system.program.kill()
    await asyncio.gather(joining, return_exceptions=True)
    assert (await other.join(paths)).status_code == 201
    await is_stored(system, data)
