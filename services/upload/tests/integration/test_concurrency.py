"""Two requests at once never mix their bytes."""

import asyncio

import pytest

from .client import PART, movie, slowly
from .conftest import System
from .outcomes import is_stored, one_is_stored

pytestmark = pytest.mark.integration


async def test_second_sender_is_locked_out_while_the_first_sends(system: System) -> None:
    ours, theirs = movie(PART + 500_000, seed=1), movie(PART + 500_000, seed=2)
    path = await system.client.create(len(ours))
    first = asyncio.create_task(system.client.patch(path, 0, slowly(ours, 30, 0.1)))
    await asyncio.sleep(0.3)
    second = await system.client.patch(path, 0, theirs)
    assert (second.status_code, second.json()["type"]) == (423, "upload-locked")
    assert (await first).status_code == 204
    await is_stored(system, ours)


async def test_many_simultaneous_senders_leave_one_sender_s_file(system: System) -> None:
    files = [movie(PART + 1000, seed=seed) for seed in range(6)]
    path = await system.client.create(PART + 1000)
    answers = await asyncio.gather(*[system.client.patch(path, 0, data) for data in files])
    await one_is_stored(system, files, answers)
