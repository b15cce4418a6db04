"""Who may ask for one more message, and when."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest

from reelay.common.room import Room

FIRST, SECOND = "first place", "second place"
URGENT, PATIENT = b"urgent", b"patient"


def room(*held: tuple[str, bytes]) -> Room:
    made = Room(lambda body: body == PATIENT)
    for place, body in held:
        made.take(place, body)
    return made


async def asks(of: Room, then: Callable[[], None] = lambda: None) -> bool:
    """Tell whether a place has its turn at once, or after something else happened."""
    async with AsyncExitStack() as stack:
        turn = asyncio.create_task(stack.enter_async_context(of.turn()))
        for _ in range(5):
            await asyncio.sleep(0)
        then()
        for _ in range(5):
            await asyncio.sleep(0)
        had = turn.done()
        turn.cancel()
        return had


@pytest.mark.parametrize(
    ("held", "may_ask"),
    [
        ([], True),
        ([URGENT], False),
        ([PATIENT], True),
        ([PATIENT, URGENT], False),
        ([URGENT, PATIENT], False),
        ([PATIENT, PATIENT], False),
    ],
)
async def test_one_more_is_asked_for_only_beside_one_that_can_wait(held, may_ask):
    made = room(*zip((FIRST, SECOND), held, strict=False))
    assert await asks(made) is may_ask
    assert made.defers is bool(held)


@pytest.mark.parametrize(("in_hand", "may_ask"), [(0, True), (1, True), (2, True), (3, False)])
async def test_one_more_is_asked_for_while_a_place_is_free(in_hand, may_ask):
    made = Room(places=3)
    for place in range(in_hand):
        made.take(place, URGENT)
    assert await asks(made) is may_ask
    assert not made.defers


async def test_waiting_place_asks_when_the_urgent_one_is_done():
    made = room((FIRST, PATIENT), (SECOND, URGENT))
    assert await asks(made, then=lambda: made.leave(SECOND))


async def test_urgent_one_goes_on_alone_when_the_patient_one_is_done():
    made = room((FIRST, PATIENT), (SECOND, URGENT))
    assert not await asks(made, then=lambda: made.leave(FIRST))


async def test_one_place_asks_at_a_time():
    made = room()
    async with made.turn():
        assert not await asks(made)
    assert await asks(made)


async def test_place_that_is_cancelled_lets_others_ask():
    made = room((FIRST, URGENT))
    waiting = asyncio.create_task(made.turn().__aenter__())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    made.leave(FIRST)
    assert await asks(made)
