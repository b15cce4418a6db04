"""Tells those who serve content what transactions decided, whatever the order of replicas.

What is told is the state of a package, read when its turn comes, so that only the last one of
several changes matters. A crash in between tells it again. The stream and the store are told
independently, and of many packages at a time: neither an outage nor a package that cannot be told
holds up others.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial

import nats.errors
import structlog
from sqlalchemy.exc import SQLAlchemyError

from reelay.catalog.restrictions import stream
from reelay.catalog.restrictions.ledger import Ledger, Way
from reelay.catalog.restrictions.marks import Marker
from reelay.common.content_access import ContentAccessChanged
from reelay.common.database import Database
from reelay.common.errors import ReelayError
from reelay.common.messaging import Messaging
from reelay.common.storage import ObjectStore

POLL_S = 2.0
"""How soon what another replica left is found."""
LOOK_S = 1.0
"""How often the stream is looked at, whether it is still the one that was told all: until a new
one was, those who serve content rely on the marks in the store."""
RETRY_S = 0.5
MARK_ALL_AGAIN_S = 30.0
BATCH = 100
"""States that are told at once: an outage costs all of them one timeout together."""

OUTAGES = (SQLAlchemyError, nats.errors.Error, ReelayError, OSError)

log = structlog.get_logger()


class AccessPublisher:
    """Publishes for one process."""

    def __init__(
        self,
        database: Database,
        messaging: Messaging,
        store: ObjectStore,
        *,
        batch: int = BATCH,
    ) -> None:
        self._messaging = messaging
        self._ledger = Ledger(database, batch)
        self._tell: dict[Way, Callable[[ContentAccessChanged], Awaitable[None]]] = {
            Way.STREAM: partial(stream.tell, messaging),
            Way.STORE: Marker(database, store).mark,
        }
        self._wakes = {way: asyncio.Event() for way in Way}
        self._complete: stream.Standing | None = None
        """How the stream stood when this process saw last that it had been told all."""

    def wake(self) -> None:
        """Publish what was just committed."""
        for wake in self._wakes.values():
            wake.set()

    async def run(self) -> None:
        """Publish for ever."""
        async with asyncio.TaskGroup() as tasks:
            for way in Way:
                tasks.create_task(self._keep_telling(way))
            tasks.create_task(self._keep_complete())
            tasks.create_task(self._mark_all())

    async def _keep_telling(self, way: Way) -> None:
        wake = self._wakes[way]
        while True:
            wake.clear()
            if await _succeeds(self._tell_all(way, self._ledger.pending(way))):
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S):
                        await wake.wait()
            else:
                await asyncio.sleep(RETRY_S)

    async def _keep_complete(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began_s = loop.time()
            done = await _succeeds(self._look())
            if not done:
                self._complete = None
            # To tell everything takes long where there is much: it rests for as long as that took.
            await asyncio.sleep(LOOK_S if done else max(RETRY_S, loop.time() - began_s))

    async def _look(self) -> None:
        """Tell everything once more to a stream that may lack something.

        It was lost, or set back to what the broker had on its disk, or we have just begun.
        """
        now = await stream.standing(self._messaging)
        if now == self._complete:
            return
        whole = now.continues(self._complete)
        if not (whole and await stream.is_complete(self._messaging, now.made_at)):
            await self._tell_all(Way.STREAM, self._ledger.everything(), again=True)
            await stream.say_complete(self._messaging, now.made_at)
        self._complete = now

    async def _mark_all(self) -> None:
        """Mark everything once more when the process begins: a store may have lost something."""
        while True:
            if await _succeeds(self._tell_all(Way.STORE, self._ledger.everything(), again=True)):
                return
            await asyncio.sleep(MARK_ALL_AGAIN_S)

    async def _tell_all(
        self,
        way: Way,
        batches: AsyncIterator[list[ContentAccessChanged]],
        *,
        again: bool = False,
    ) -> None:
        """Tell states in one way; go on after errors, and raise the first one at the end."""
        failed: BaseException | None = None
        async for states in batches:
            telling = (self._tell_one(way, state, again=again) for state in states)
            for outcome in await asyncio.gather(*telling, return_exceptions=True):
                failed = failed or outcome
        if failed is not None:
            raise failed

    async def _tell_one(self, way: Way, state: ContentAccessChanged, *, again: bool) -> None:
        if again or not self._ledger.has_told(way, state):
            await self._tell[way](state)
        await self._ledger.note(way, state)


async def _succeeds(telling: Awaitable[None]) -> bool:
    """Return whether nothing was away."""
    try:
        await telling
    except OUTAGES as error:
        log.warning("restrictions of packages wait", error=repr(error)[:300])
        return False
    return True
