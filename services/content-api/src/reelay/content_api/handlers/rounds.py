"""Looks after many things again and again, at a bounded price however many there are."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

import structlog

PER_S = 25
"""Visits begun in a second: each costs up to two requests to the store."""
AT_ONCE = 4
"""Visits under way; a slow store gets fewer a second."""

T = TypeVar("T", bound=Hashable)

log = structlog.get_logger()


class Rounds(Generic[T]):
    """Visits each thing after a pause, again and again, until it is discarded.

    When more visits are due than there may be, those go first that are due for the longest.
    """

    def __init__(
        self, visit: Callable[[T], Awaitable[None]], pause_s: Callable[[T], float]
    ) -> None:
        """`pause_s` tells for how long a thing, that is not discarded, needs no visit."""
        self._visit = visit
        self._pause_s = pause_s
        self._due_s: dict[T, float] = {}
        self._under_way: set[asyncio.Task[None]] = set()
        self._walk: asyncio.Task[None] | None = None

    def add(self, thing: T) -> None:
        """Visit a thing from now on, after a first pause."""
        self._due_s[thing] = time.monotonic() + self._pause_s(thing)
        if self._walk is None or self._walk.done():
            self._walk = asyncio.create_task(self._go_round())

    def discard(self, thing: T) -> None:
        """Begin no more visits of a thing."""
        self._due_s.pop(thing, None)

    async def _go_round(self) -> None:
        while self._due_s:
            await asyncio.sleep(1 / PER_S)
            if not self._due_s or len(self._under_way) >= AT_ONCE:
                continue
            thing = min(self._due_s, key=self._due_s.__getitem__)
            if self._due_s[thing] <= time.monotonic():
                self._due_s[thing] = math.inf
                task = asyncio.create_task(self._call_on(thing))
                self._under_way.add(task)
                task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("a visit failed", error=repr(error)[:300])

    async def _call_on(self, thing: T) -> None:
        try:
            await self._visit(thing)
        finally:
            if thing in self._due_s:
                self._due_s[thing] = time.monotonic() + self._pause_s(thing)
