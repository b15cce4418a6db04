"""A viewer waits for a segment: the packager hears of it, and the encoders soon do."""

import asyncio
import contextlib
import time

import structlog

from reelay.common.commands import DemandWithdrawn, SegmentDemanded
from reelay.common.errors import OutageError
from reelay.common.events import PackageRemoved, TranscodeFailed
from reelay.common.outbox import Outbox
from reelay.packager.domain.demand import DemandBoard, parse_path
from reelay.packager.handlers.dispatching import Dispatcher

RETRY_S = 0.5
"""A failed dispatch is tried again after this time, as often as a demand is repeated."""

AGAIN_S = 1.0
"""How often it is looked again whether what somebody waits for is being made."""

log = structlog.get_logger()


class Demanding:
    """Hears demand at every replica; dispatches once for all that came meanwhile."""

    def __init__(self, outbox: Outbox, dispatcher: Dispatcher, board: DemandBoard) -> None:
        self._outbox = outbox
        self._dispatcher = dispatcher
        self._board = board
        self._news = asyncio.Event()

    async def hear(self, demand: SegmentDemanded) -> None:
        """Note a demand; what is under way, or whose package has no work, costs nothing."""
        if demand.package_id not in self._dispatcher.under_way:
            return
        wanted = parse_path(demand.package_id, demand.path)
        if wanted is None or self._dispatcher.opens_with(wanted):
            return
        if self._board.hear(wanted, demand.viewer, time.monotonic(), demand.teller):
            self._news.set()

    async def withdraw(self, withdrawn: DemandWithdrawn) -> None:
        """Note that a viewer left: what only they waited for is not made for nobody."""
        wanted = parse_path(withdrawn.package_id, withdrawn.path)
        if wanted is not None:
            self._board.withdraw(wanted, withdrawn.viewer, withdrawn.teller)

    async def end(self, ended: TranscodeFailed | PackageRemoved) -> None:
        """Find out that a package has no work any more; the fact alone may be of an earlier try."""
        if ended.package_id is None or ended.package_id not in self._dispatcher.under_way:
            return
        with contextlib.suppress(OutageError):  # the upkeep finds it out as well
            async with self._outbox.transaction() as tx:
                await self._dispatcher.look_at(tx, ended.package_id)

    async def run(self) -> None:
        """Dispatch what was demanded, for ever; again soon where that failed."""
        while True:
            await self._due()
            try:
                async with self._outbox.transaction() as tx:
                    await self._dispatcher.dispatch(tx)
            except OutageError as error:
                log.warning("demand waits", error=repr(error)[:300])
                self._news.set()
                await asyncio.sleep(RETRY_S)

    async def _due(self) -> None:
        """Return when there is news, or after a while in which somebody waited.

        What was to come soon, in an opening, may not have: nothing tells of that.
        """
        waits = self._board.waiting(time.monotonic())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(AGAIN_S if waits else None):
                await self._news.wait()
        self._news.clear()
