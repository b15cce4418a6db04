"""Holds over a real PostgreSQL: whoever is cancelled keeps nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from uuid import UUID, uuid4

import pytest

from reelay.upload.adapters.holding import PostgresHolding

pytestmark = pytest.mark.integration


@pytest.fixture
async def replicas(database_url: str) -> AsyncIterator[tuple[PostgresHolding, PostgresHolding]]:
    one, other = PostgresHolding(database_url), PostgresHolding(database_url)
    yield one, other
    await one.close()
    await other.close()


async def hold(holding: PostgresHolding, upload_id: UUID) -> None:
    async with holding.hold(upload_id):
        pass


@pytest.mark.parametrize("turns", range(12))
async def test_who_is_cancelled_while_asking_for_a_hold_keeps_none(
    replicas: tuple[PostgresHolding, PostgresHolding], turns: int
) -> None:
    one, other = replicas
    await hold(one, uuid4())  # connected
    upload_id = uuid4()
    asking = asyncio.create_task(hold(one, upload_id))
    for _ in range(turns):
        await asyncio.sleep(0)
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking
    await hold(other, upload_id)
    await hold(one, upload_id)
