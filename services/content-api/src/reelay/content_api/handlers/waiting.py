"""The room where requests wait for promised objects: who gets a place, and how long they stay."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from reelay.common.errors import TransientError
from reelay.common.metrics import REQUESTS_WAITING, SEGMENT_WAIT_SECONDS
from reelay.content_api.domain.names import ContentName
from reelay.content_api.domain.news import News
from reelay.content_api.domain.ports import Demand, Found
from reelay.content_api.handlers.places import Crowd
from reelay.content_api.handlers.watching import Glance, Look, Waiting, Watches

ClientGone = Callable[[], Awaitable[None]]
"""Returns when the client went away."""


@dataclass(frozen=True)
class Visitor:
    """Who waits: a name that tells viewers apart and no more, and how their leaving is noticed.

    The name is made of that of an address, a dash, and that of a player at it.
    """

    viewer: str
    gone: ClientGone


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
    """How long, how often at most, how many."""

    wait_s: float = 8.0
    repeat_s: float = 0.5
    total: int = 512
    per_package: int = 256


class WaitingRoom:
    """Where requests wait; what they wait for is watched (see Watches).

    Nobody keeps others out: when the room, or a package's part of it, is full, the address that
    has most places gives one up to a newcomer who has fewer; at one address its players do so.
    """

    def __init__(self, look: Look, glance: Glance, demand: Demand, limits: WaitingLimits) -> None:
        self._demand = demand
        self._limits = limits
        self._everybody = Crowd[Waiting]()
        self._packages: defaultdict[str, Crowd[Waiting]] = defaultdict(Crowd)
        self._watches = Watches(look, glance, demand, limits.repeat_s, self._everybody)
        self._closed = False

    async def wait(self, name: ContentName, rendition: str | None, who: Visitor) -> Found:
        """Return the object's file as soon as it exists. It was looked for just before.

        `rendition` is the one whose news matter; None for all. Raises NotYetError after the
        time limit, TooManyWaitingError at once or when somebody else gets the place,
        ClientGoneError when they left first, and what `look` raises.
        """
        started = time.monotonic()
        outcome = "failed"
        try:
            place = self._enter(name, rendition, who.viewer)
            try:
                file = await self._first(place, who.gone)
            finally:
                self._leave(place)
            outcome = "stored"
            return file
        except TooManyWaitingError:
            outcome = "refused"
            raise
        except NotYetError:
            outcome = "timeout"
            raise
        except ClientGoneError:
            outcome = "gone"
            # Others who are sent away ask again in a second: until then their demand stands.
            if not place.watch.crowd.count(who.viewer)[1]:
                await self._demand.withdraw(name, who.viewer)
            raise
        finally:
            SEGMENT_WAIT_SECONDS.labels(outcome).observe(time.monotonic() - started)

    def wake(self, news: News) -> None:
        """Look now for what there is news of."""
        self._watches.wake(news)

    def dismiss(self, package_id: str) -> None:
        """Send away everybody who waits for a package; who may have it asks again."""
        self._watches.dismiss(package_id)

    def close(self) -> None:
        """Send everybody away, and let nobody in: the service stops."""
        self._closed = True
        self._watches.close()

    def _enter(self, name: ContentName, rendition: str | None, viewer: str) -> Waiting:
        if self._closed:
            raise TooManyWaitingError
        rival = self._rival(name.package_id, viewer)
        watch = self._watches.of(name, rendition)
        watch.greet(viewer)
        place = Waiting(viewer, watch=watch)
        for crowd in self._crowds(place):
            crowd.add(place)
        self._watches.joined(watch)
        REQUESTS_WAITING.inc()
        if rival is not None:
            # Only now: what both wait for is watched on.
            self._leave(rival)
            rival.lost.set_result(None)
        return place

    def _rival(self, package_id: str, viewer: str) -> Waiting | None:
        """Return the place that a newcomer gets from somebody else; None when one is free.

        Raises TooManyWaitingError when nobody has to give one up.
        """
        package = self._packages.get(package_id, Crowd[Waiting]())
        if len(package.places) >= self._limits.per_package:
            full = package
        elif len(self._everybody.places) >= self._limits.total:
            full = self._everybody
        else:
            return None
        rival = full.rival(viewer, self._everybody)
        if rival is None:
            raise TooManyWaitingError
        return rival

    def _leave(self, place: Waiting) -> None:
        """Free a place, if its viewer still has it."""
        if place not in self._everybody.places:
            return
        for crowd in self._crowds(place):
            crowd.remove(place)
        REQUESTS_WAITING.dec()
        if not self._packages[place.watch.name.package_id].places:
            del self._packages[place.watch.name.package_id]
        self._watches.left(place.watch)

    def _crowds(self, place: Waiting) -> Iterable[Crowd[Waiting]]:
        watch = place.watch
        return self._everybody, self._packages[watch.name.package_id], watch.crowd

    async def _first(self, place: Waiting, gone: ClientGone) -> Found:
        task = place.watch.task
        leaving = asyncio.ensure_future(gone())
        ends: set[asyncio.Future[Any]] = {task, leaving, place.lost}
        try:
            await asyncio.wait(
                ends, timeout=self._limits.wait_s, return_when=asyncio.FIRST_COMPLETED
            )
            if task.done() and not task.cancelled():
                return task.result()
            if leaving.done():
                raise ClientGoneError
            raise TooManyWaitingError if place.lost.done() else NotYetError
        finally:
            leaving.cancel()
