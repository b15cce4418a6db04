"""Two requests at once never mix their bytes."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from reelay.common.events import AssetUploaded
from reelay.common.storage.port import read_all

from .client import PART, asset_id_of, movie
from .conftest import System

pytestmark = pytest.mark.integration


async def slowly(data: bytes, pieces: int, pause_s: float) -> AsyncIterator[bytes]:
    step = -(-len(data) // pieces)
    for at in range(0, len(data), step):
        yield data[at : at + step]
        await asyncio.sleep(pause_s)


async def test_second_sender_is_locked_out_while_the_first_sends(system: System) -> None:
    ours, theirs = movie(PART + 500_000, seed=1), movie(PART + 500_000, seed=2)
    path = await system.client.create(len(ours))
    first = asyncio.create_task(system.client.patch(path, 0, slowly(ours, 30, 0.1)))
    await asyncio.sleep(0.3)
    second = await system.client.patch(path, 0, theirs)
    assert (second.status_code, second.json()["type"]) == (423, "upload-locked")
    assert (await first).status_code == 204
    [fact] = await system.facts(AssetUploaded, 1)
    assert fact.asset_id == asset_id_of(ours)
    assert await read_all(system.store, fact.source_key) == ours


async def test_many_simultaneous_senders_leave_one_sender_s_file(system: System) -> None:
    files = [movie(PART + 1000, seed=seed) for seed in range(6)]
    path = await system.client.create(PART + 1000)
    answers = await asyncio.gather(*[system.client.patch(path, 0, data) for data in files])
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses.count(204) == 1, statuses
    assert set(statuses) <= {204, 409, 423}
    [fact] = await system.facts(AssetUploaded, 1)
    assert fact.asset_id in {asset_id_of(data) for data in files}
    assert asset_id_of(await read_all(system.store, fact.source_key)) == fact.asset_id
