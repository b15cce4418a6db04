"""Whether this process can work at all: asked when it failed, before its message is blamed."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from reelay.common.errors import TransientError

FIRST_LOOK_S = 0.25
LONGEST_LOOK_S = 5.0
CHECK_S = 30.0
"""A check that takes longer has found that something hangs."""

Check = Callable[[], Awaitable[None]]
"""Returns when what the work needs is there: a store that answers, a program that runs; raises
otherwise. It may take seconds."""

log = structlog.get_logger()


class UnfitError(TransientError):
    """This process cannot do what another may."""


async def assert_fit(check: Check | None) -> None:
    """Return when the process can work, as far as it can tell; raise UnfitError otherwise."""
    if check is None:
        return
    try:
        async with asyncio.timeout(CHECK_S):
            await check()
    except Exception as error:  # whatever it is, it is no fault of the message
        raise UnfitError(repr(error)) from error


async def until_fit(check: Check) -> None:
    """Return when the process can work again, seen at most LONGEST_LOOK_S later."""
    delay = FIRST_LOOK_S
    while True:
        await asyncio.sleep(delay)
        try:
            await assert_fit(check)
        except UnfitError:
            delay = min(LONGEST_LOOK_S, delay * 2)
        else:
            log.info("takes work again")
            return
