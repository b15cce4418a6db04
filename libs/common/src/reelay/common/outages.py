"""Servers that are away are waited for; a store that fails at one thing alone is not away."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from reelay.common.errors import OutageError, TransientError
from reelay.common.fitness import Check, UnfitError, assert_fit
from reelay.common.storage.port import StoreFullError, StoreUnavailableError

T = TypeVar("T")

FIRST_DELAY_S = 0.25
LONGEST_DELAY_S = 5.0
HAND_ON_AFTER_S = 5.0
"""How long a server may be away before one asks whether it is away for this process alone."""
BLAMED_AFTER_S = 30.0
"""How long a store may fail at one thing, while the check finds that it works, before it is not the
store that is to blame."""

OUTAGES = (OutageError, StoreUnavailableError)
"""Servers that are down or have too much to do are waited for, whatever the number of attempts."""

log = structlog.get_logger()


class FailsAloneError(TransientError):
    """The object store works, but not for this."""


async def outlast(
    call: Callable[[], Awaitable[T]], check: Check | None, *, hands_on: bool = True
) -> T:
    """Return what a call returns, which is repeated while a server that it needs is away.

    Raises FailsAloneError when the store fails at the call for BLAMED_AFTER_S in which `check`
    finds nothing wrong: without one, whoever is away is waited for. Raises UnfitError when the
    check does and one `hands_on`; else that is waited for too.
    """
    outage = _Outage(check, hands_on=hands_on)
    while True:
        try:
            return await call()
        except OUTAGES as error:
            await outage.endure(error)


class _Outage:
    """A server that is away, as one call sees it."""

    def __init__(self, check: Check | None, *, hands_on: bool) -> None:
        self._check = check
        self._hands_on = hands_on
        self._delay_s = FIRST_DELAY_S
        self._began_s: float | None = None
        self._alone_since_s: float | None = None
        """When the check first found nothing wrong, and has since."""

    async def endure(self, error: Exception) -> None:
        """Wait a little before the next call; raise what `outlast` does."""
        now_s = time.monotonic()
        if self._began_s is None:
            self._began_s = now_s
        if self._check is not None and now_s - self._began_s > HAND_ON_AFTER_S:
            await self._look(self._check, error)
        log.warning("waiting for a server", delay_s=self._delay_s, error=repr(error)[:300])
        await asyncio.sleep(self._delay_s)
        self._delay_s = min(LONGEST_DELAY_S, self._delay_s * 2)

    async def _look(self, check: Check, error: Exception) -> None:
        """Find out whether it is away for all, for this process or for this call alone."""
        try:
            await assert_fit(check)
        except UnfitError:
            if self._hands_on:
                raise
            self._alone_since_s = None
            return
        now_s = time.monotonic()
        if not may_be_of_one(error) or self._alone_since_s is None:
            self._alone_since_s = now_s
        elif now_s - self._alone_since_s > BLAMED_AFTER_S:
            raise FailsAloneError(f"The object store works, but not for this: {error}") from error


def may_be_of_one(error: Exception) -> bool:
    """Tell whether what failed may be one object: there is one room, database and broker for all.

    A full store may have room for what a check stores.
    """
    return isinstance(error, StoreUnavailableError) and not isinstance(error, StoreFullError)
