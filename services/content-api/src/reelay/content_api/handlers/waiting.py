"""Requests that wait for promised objects: one watcher per object, however many wait for it."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from reelay.common.errors import TransientError
from reelay.common.metrics import SEGMENT_WAIT_SECONDS
from reelay.common.storage import StoreUnavailableError
from reelay.content_api.domain.names import ContentName
from reelay.content_api.domain.ports import Demand, Found

ClientGone = Callable[[], Awaitable[None]]
"""Returns when the client went away."""


@dataclass(frozen=True)
class Visitor:
    """Who waits: a name that tells viewers apart and no more, and how their leaving is noticed."""

    viewer: str
    gone: ClientGone


Look = Callable[[ContentName], Awaitable[Found | None]]
"""Returns the object's file or None; raises when it will never exist."""


class NotYetError(TransientError):
    """This part of the video is not ready yet; ask again in a second."""

    problem = "not-yet"


class TooManyWaitingError(TransientError):
    """Too many requests wait for parts of videos that are not ready; ask again in a second."""

    problem = "too-many-waiting"


class ClientGoneError(TransientError):
    """The client went away while it waited."""


@dataclass(frozen=True)
class WaitingLimits:
    """How long, how often, how many."""

    wait_s: float = 8.0
    repeat_s: float = 0.5
    total: int = 512
    per_package: int = 256


@dataclass(eq=False)
class _Watch:
    name: ContentName
    rendition: str | None
    viewer: str
    waiting: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[Found] = field(init=False)


class WaitingRoom:
    """Where requests wait. Objects are looked for on news of them, and in any case regularly."""

    def __init__(self, look: Look, demand: Demand, limits: WaitingLimits) -> None:
        self._look = look
        self._demand = demand
        self._limits = limits
        self._watches: dict[ContentName, _Watch] = {}
        self._packages: Counter[str] = Counter()
        self._closed = False

    async def wait(self, name: ContentName, rendition: str | None, who: Visitor) -> Found:
        """Return the object's file as soon as it exists.

        `rendition` is the one whose news matter; None for all. Raises NotYetError after the
        time limit, TooManyWaitingError, ClientGoneError when they left first, and what
        `look` raises.
        """
        package = name.package_id
        full = self._packages.total() >= self._limits.total
        if self._closed or full or self._packages[package] >= self._limits.per_package:
            SEGMENT_WAIT_SECONDS.labels("refused").observe(0)
            raise TooManyWaitingError
        self._packages[package] += 1
        watch = self._join(name, rendition, who.viewer)
        started = time.monotonic()
        outcome = "failed"
        try:
            file = await self._first(watch, who.gone)
            outcome = "stored"
            return file
        except NotYetError:
            outcome = "timeout"
            raise
        except ClientGoneError:
            outcome = "gone"
            raise
        finally:
            SEGMENT_WAIT_SECONDS.labels(outcome).observe(time.monotonic() - started)
            self._leave(watch)

    def wake(self, package_id: str, renditions: frozenset[str] | None = None) -> None:
        """Look for what is waited for in these renditions of a package (None: in all) now."""
        for watch in self._watches.values():
            if watch.name.package_id == package_id and (
                renditions is None or watch.rendition is None or watch.rendition in renditions
            ):
                watch.news.set()

    def dismiss(self, package_id: str) -> None:
        """Send away everybody who waits for a package; who may have it asks again."""
        for watch in self._watches.values():
            if watch.name.package_id == package_id:
                watch.task.cancel()

    def close(self) -> None:
        """Send everybody away, and let nobody in: the service stops."""
        self._closed = True
        for watch in self._watches.values():
            watch.task.cancel()

    def _join(self, name: ContentName, rendition: str | None, viewer: str) -> _Watch:
        watch = self._watches.get(name)
        if watch is None:
            watch = self._watches[name] = _Watch(name, rendition, viewer)
            watch.task = asyncio.create_task(self._watch(watch))
        watch.waiting += 1
        return watch

    def _leave(self, watch: _Watch) -> None:
        package = watch.name.package_id
        self._packages[package] -= 1
        if not self._packages[package]:
            del self._packages[package]
        watch.waiting -= 1
        if not watch.waiting or watch.task.done():
            watch.task.cancel()
            if self._watches.get(watch.name) is watch:
                del self._watches[watch.name]

    async def _first(self, watch: _Watch, gone: ClientGone) -> Found:
        leaving = asyncio.ensure_future(gone())
        try:
            await asyncio.wait(
                {watch.task, leaving},
                timeout=self._limits.wait_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if watch.task.done() and not watch.task.cancelled():
                return watch.task.result()
            raise ClientGoneError if leaving.done() else NotYetError
        finally:
            leaving.cancel()

    async def _watch(self, watch: _Watch) -> Found:
        while True:
            due = time.monotonic() + self._limits.repeat_s
            await self._demand.tell(watch.name, watch.viewer)
            while (left := due - time.monotonic()) > 0:
                # Cleared before looking: news that come meanwhile make it look once more.
                watch.news.clear()
                with contextlib.suppress(StoreUnavailableError):
                    if file := await self._look(watch.name):
                        return file
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(left):
                        await watch.news.wait()
