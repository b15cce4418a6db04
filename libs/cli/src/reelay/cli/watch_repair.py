"""Follows the repair of a package that is watched.

No fact tells that one begins, or that it was given up; but the package has no index meanwhile.
"""

import contextlib
import time
from collections.abc import Callable

from reelay.cli.api import Api, pause
from reelay.cli.errors import CommandError
from reelay.cli.watch_asking import ASK_EVERY_S
from reelay.cli.watch_package import read_completion
from reelay.cli.watch_state import WatchState

DAMAGED = "This package is damaged, and nobody repairs it now; `reelay verify --repair` does."


async def reopen_if_damaged(api: Api, state: WatchState) -> None:
    """Let a package be under way again whose facts say that it is complete, and that is not."""
    if state.is_complete and await read_completion(api, state.package.package_id) is None:
        state.reopen(time.time())


async def follow_repair(api: Api, state: WatchState, tell: Callable[[], None]) -> None:
    """Until cancelled, see whether a package that was reopened is whole again, or given up.

    `tell` is called when something was seen.
    """
    while True:
        await pause(ASK_EVERY_S)
        if not state.is_under_repair:
            continue
        with contextlib.suppress(CommandError):  # asked again
            if await read_completion(api, state.package.package_id) is not None:
                state.mark_complete(time.time())
                tell()
        if state.is_given_up(time.time()):
            state.end(DAMAGED, time.time())
            tell()
