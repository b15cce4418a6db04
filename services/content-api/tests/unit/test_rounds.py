"""Rounds: everything has its turn, and no more is done at a time than may be."""

import asyncio
import time
from collections import Counter

from structlog.testing import capture_logs

from reelay.content_api.handlers.rounds import AT_ONCE, PER_S, Rounds

ENOUGH_S = 60.0


class Visits:
    """Counts visits, and lets them end when told."""

    def __init__(self) -> None:
        self.of: Counter[int] = Counter()
        self.under_way = self.most = 0
        self.going_on = asyncio.Event()

    async def visit(self, thing: int) -> None:
        self.of[thing] += 1
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await self.going_on.wait()
        self.under_way -= 1

    async def until(self, count: int) -> None:
        """Return when there were so many."""
        async with asyncio.timeout(ENOUGH_S):
            while self.of.total() < count:  # noqa: ASYNC110 (nobody tells of it)
                await asyncio.sleep(0.005)


async def test_visits_are_few_at_a_time_and_few_a_second() -> None:
    visits = Visits()
    rounds = Rounds(visits.visit, lambda _: 0.0)
    started = time.monotonic()
    for thing in range(512):
        rounds.add(thing)
    await visits.until(AT_ONCE)
    await asyncio.sleep(3 / PER_S)
    assert visits.of.total() == AT_ONCE
    visits.going_on.set()
    await visits.until(30)
    assert time.monotonic() - started >= 29 / PER_S
    assert visits.most == AT_ONCE
    assert visits.of.most_common(1)[0][1] == 1
    for thing in range(512):
        rounds.discard(thing)


async def test_each_is_visited_again_and_again_until_it_is_discarded() -> None:
    visits = Visits()
    visits.going_on.set()
    rounds = Rounds(visits.visit, lambda _: 0.0)
    for thing in range(3):
        rounds.add(thing)
    await visits.until(6)
    assert set(visits.of.values()) == {2}
    rounds.discard(0)
    rounds.discard(1)
    await visits.until(9)
    assert visits.of[0] + visits.of[1] <= 5
    rounds.discard(2)
    rounds.discard(2)


async def test_who_has_a_long_pause_is_not_visited_before() -> None:
    visits = Visits()
    visits.going_on.set()
    rounds = Rounds(visits.visit, lambda thing: ENOUGH_S * thing)
    rounds.add(1)
    rounds.add(0)
    await visits.until(5)
    assert visits.of == {0: 5}
    rounds.discard(0)
    rounds.discard(1)


async def test_rounds_begin_anew_after_there_was_nothing() -> None:
    visits = Visits()
    visits.going_on.set()
    rounds = Rounds(visits.visit, lambda _: 0.0)
    rounds.add(1)
    rounds.discard(1)
    await asyncio.sleep(3 / PER_S)
    rounds.add(2)
    await visits.until(1)
    assert visits.of == {2: 1}
    rounds.discard(2)


async def test_visit_that_fails_is_logged_and_ends_no_round() -> None:
    visits = Visits()

    async def fail(thing: int) -> None:
        visits.of[thing] += 1
        raise RuntimeError("unforeseen")

    with capture_logs() as logs:
        rounds = Rounds(fail, lambda _: 0.0)
        rounds.add(1)
        await visits.until(3)
        rounds.discard(1)
        await asyncio.sleep(0)
    assert {(line["event"], line["error"]) for line in logs} == {
        ("a visit failed", "RuntimeError('unforeseen')")
    }
