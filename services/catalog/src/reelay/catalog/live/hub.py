"""Gives every committed change, in order, to the clients that are connected to this replica."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

import structlog
from prometheus_client import Gauge
from sqlalchemy.exc import SQLAlchemyError

from reelay.catalog.live.log import Change, changes_after, prune
from reelay.common.database import Database
from reelay.common.errors import OutageError
from reelay.common.tokens import Identity

BATCH = 500
POLL_S = 5.0
PRUNE_S = 60.0
MAX_PENDING = 256
"""Most videos whose changes wait for one client; beyond it the client is read to from the table."""

LIVE_CLIENTS = Gauge("reelay_catalog_live_clients", "Clients that are connected to live updates")

log = structlog.get_logger()


class Subscriber:
    """What one client has not been sent yet: at most one change per video, the latest."""

    def __init__(
        self, video_id: UUID | None, position: int, viewer: Identity | None = None
    ) -> None:
        self.video_id = video_id
        self.viewer = viewer
        self.position = position
        """Revision of the last change that was taken."""
        self.behind = False
        """Whether there were too many changes to keep; the client catches up from the table."""
        self.closed = False
        self._pending: OrderedDict[UUID, Change] = OrderedDict()
        self._news = asyncio.Event()

    def offer(self, change: Change) -> None:
        """Keep a change for the client, instead of any older one of the same video."""
        if self.video_id not in (None, change.video_id):
            return
        seen = self.as_seen(change)
        if seen is None:
            return
        self._pending.pop(seen.video_id, None)
        self._pending[seen.video_id] = seen
        if len(self._pending) > MAX_PENDING:
            self._pending.clear()
            self.behind = True
        self._news.set()

    def as_seen(self, change: Change) -> Change | None:
        """Return a change as the client may see it; None when it is nothing to them."""
        return change.seen_by(self.viewer, by_id=self.video_id is not None)

    def close(self) -> None:
        """Let the client go."""
        self.closed = True
        self._news.set()

    def take(self) -> Change | None:
        """Return the oldest change that is news to the client; None when there is none."""
        while self._pending:
            _, change = self._pending.popitem(last=False)
            if change.revision > self.position:
                self.position = change.revision
                return change
        return None

    async def wait(self, timeout_s: float) -> bool:
        """Return true when there may be something to take, false after `timeout_s`."""
        self._news.clear()
        if self._pending or self.behind or self.closed:
            return True
        try:
            async with asyncio.timeout(timeout_s):
                await self._news.wait()
        except TimeoutError:
            return False
        return True


class Hub:
    """Follows the log of changes for all clients of this replica."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._position = 0
        self._subscribers: set[Subscriber] = set()
        self._wake = asyncio.Event()
        self._closed = False

    def tell(self, changes: Sequence[Change]) -> None:
        """Pass on what was just committed here, or look at the log when others came before it."""
        for change in changes:
            if change.revision == self._position + 1:
                self._pass_on(change)
        if changes:
            self.look(changes[-1].revision)

    def look(self, revision: int) -> None:
        """Look at the log now unless this revision was passed on already."""
        if revision > self._position:
            self._wake.set()

    def close(self) -> None:
        """Let all clients go, and every later one at once."""
        self._closed = True
        for subscriber in self._subscribers:
            subscriber.close()

    @contextmanager
    def subscribe(
        self, video_id: UUID | None, after: int | None = None, viewer: Identity | None = None
    ) -> Iterator[Subscriber]:
        """Yield a subscriber to one video or to all, who has seen everything up to `after`."""
        position = self._position if after is None else min(after, self._position)
        subscriber = Subscriber(video_id, position, viewer)
        subscriber.behind = after is not None
        subscriber.closed = self._closed
        self._subscribers.add(subscriber)
        try:
            with LIVE_CLIENTS.track_inprogress():
                yield subscriber
        finally:
            self._subscribers.discard(subscriber)

    async def run(self, position: int) -> None:
        """Follow the log after `position` for ever."""
        self._position = max(self._position, position)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow())
            tasks.create_task(self._prune())

    async def _follow(self) -> None:
        while True:
            self._wake.clear()
            try:
                while await self._distribute():
                    pass
            except (SQLAlchemyError, OutageError, OSError) as error:
                log.warning("live updates wait for the database", error=repr(error)[:300])
            try:
                async with asyncio.timeout(POLL_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _distribute(self) -> bool:
        """Offer the next changes to all; return whether there may be more."""
        changes = await changes_after(self._database, self._position, BATCH)
        for change in changes:
            if change.revision > self._position:  # not told meanwhile
                self._pass_on(change)
        return len(changes) == BATCH

    def _pass_on(self, change: Change) -> None:
        for subscriber in self._subscribers:
            subscriber.offer(change)
        self._position = change.revision

    async def _prune(self) -> None:
        while True:
            await asyncio.sleep(PRUNE_S)
            try:
                await prune(self._database)
            except (SQLAlchemyError, OutageError, OSError) as error:
                log.warning("old changes stay for now", error=repr(error)[:300])


CatchUp = Callable[[int, int, int], Awaitable[list[Change]]]
"""(revision, since, limit) -> how the videos that changed after a revision look now, oldest change
first; withdrawn are those that ceased to be public after `since`."""

PAGE = 100


async def missed(subscriber: Subscriber, catch_up: CatchUp) -> AsyncIterator[Change]:
    """Yield what a subscriber to all videos has missed, page by page."""
    subscriber.behind = False
    since = subscriber.position
    while True:
        changes = await catch_up(subscriber.position, since, PAGE)
        for change in changes:
            subscriber.position = change.revision
            if seen := subscriber.as_seen(change):
                yield seen
        if len(changes) < PAGE:
            return
