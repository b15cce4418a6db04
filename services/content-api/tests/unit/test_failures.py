"""How often the store is asked whether a package failed."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

from reelay.common.storage import ObjectMissingError
from reelay.content_api.adapters.failures import StoredFailures

PACKAGE, OTHER = "a" * 64, "b" * 64


class Store:
    """Counts questions; says that everything failed, or that nothing did."""

    def __init__(self) -> None:
        self.asked = 0
        self.failed = False

    async def read(self, key: str) -> AsyncIterator[bytes]:
        self.asked += 1
        if not self.failed:
            raise ObjectMissingError(key)
        yield b'{"reason": "No."}'


def opened() -> tuple[StoredFailures, Store, list[float]]:
    """Return failures, their store, and a clock with one hand."""
    store, clock = Store(), [100.0]
    return StoredFailures(cast(Any, store), now=lambda: clock[0]), store, clock


async def test_answer_that_a_package_did_not_fail_holds_for_those_whom_it_may() -> None:
    failures, store, clock = opened()
    for _ in range(5):
        assert await failures.reason(PACKAGE, max_age_s=1.0) is None
    assert store.asked == 1
    await failures.reason(OTHER, max_age_s=1.0)
    await failures.reason(PACKAGE)
    assert store.asked == 3
    store.failed = True
    clock[0] += 0.5
    assert await failures.reason(PACKAGE, max_age_s=1.0) is None
    clock[0] += 0.5
    assert await failures.reason(PACKAGE, max_age_s=1.0) == "No."


async def test_those_who_ask_together_ask_once_and_all_hear_the_answer() -> None:
    failures, store, _ = opened()
    store.failed = True
    reasons = await asyncio.gather(*(failures.reason(PACKAGE, max_age_s=1.0) for _ in range(5)))
    assert (reasons, store.asked) == (["No."] * 5, 1)


async def test_answer_to_a_question_of_before_a_new_plan_is_not_kept() -> None:
    failures, store, _ = opened()
    before = asyncio.create_task(failures.reason(PACKAGE, max_age_s=1.0))
    await asyncio.sleep(0)
    failures.forget(PACKAGE)
    assert await before is None
    store.failed = True
    assert await failures.reason(PACKAGE, max_age_s=1.0) == "No."


async def test_failure_is_never_remembered_when_a_new_plan_ended_it() -> None:
    failures, store, _ = opened()
    store.failed = True
    assert await failures.reason(PACKAGE, max_age_s=1.0) == "No."
    store.failed = False
    assert await failures.reason(PACKAGE, max_age_s=1.0) is None


async def test_package_that_is_planned_anew_is_asked_about() -> None:
    failures, store, _ = opened()
    await failures.reason(PACKAGE, max_age_s=1.0)
    failures.forget(PACKAGE)
    store.failed = True
    assert await failures.reason(PACKAGE, max_age_s=1.0) == "No."
