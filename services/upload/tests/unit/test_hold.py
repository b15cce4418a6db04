"""A request's hold can be asked to let go, at any moment."""

import asyncio

import pytest

from reelay.upload.domain.hold import Hold


async def test_waiting_ends_after_the_limit() -> None:
    hold = Hold()
    with pytest.raises(TimeoutError):
        async with hold.waiting_for_client(0.01):
            await asyncio.sleep(5)
    assert not hold.asked_to_let_go


async def test_waiting_ends_when_asked_to_let_go() -> None:
    hold = Hold()
    asyncio.get_running_loop().call_later(0.01, hold.let_go)
    with pytest.raises(TimeoutError):
        async with hold.waiting_for_client(60):
            await asyncio.sleep(5)
    assert hold.asked_to_let_go


async def test_holder_asked_while_busy_stops_at_its_next_wait() -> None:
    hold = Hold()
    hold.let_go()
    with pytest.raises(TimeoutError):
        async with hold.waiting_for_client(60):
            pytest.fail("nothing is awaited any more")


async def test_waiting_client_counts_as_receiving_until_it_stalls() -> None:
    hold = Hold()
    assert not hold.receives
    async with hold.waiting_for_client(60):
        assert hold.receives
        assert not hold.stalled
