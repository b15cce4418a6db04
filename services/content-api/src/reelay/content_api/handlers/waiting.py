"""Requests that wait for promised objects: one watcher per object, however many wait for it."""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from reelay.common.errors import ReelayError, TransientError
from reelay.common.metrics import REQUESTS_WAITING, SEGMENT_WAIT_SECONDS
from reelay.common.storage import StoreUnavailableError
from reelay.content_api.domain.names import ContentName
from reelay.content_api.domain.news import News, RecentNews
from reelay.content_api.domain.ports import Demand, Found
from reelay.content_api.handlers.places import Crowd, Place
from reelay.content_api.handlers.rounds import PER_S, Rounds

MAX_NAMES = 8
"""In how many viewers' names a demand is repeated: the greedy must not crowd out the modest."""

ClientGone = Callable[[], Awaitable[None]]
"""Returns when the client went away."""


@dataclass(frozen=True)
class Visitor:
    """Who waits: a name that tells viewers apart and no more, and how their leaving is noticed.

    The name is made of that of an address, a dash, and that of a player at it.
    """

    viewer: str
    gone: ClientGone


Look = Callable[[ContentName], Awaitable[Found | None]]
"""Returns the object's file or None; raises when it will never exist."""

Glance = Callable[[ContentName], Awaitable[bool]]
"""Tells cheaply whether it is time for a look; may raise what a look does."""


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


@dataclass(eq=False)
class _Watch:
    name: ContentName
    rendition: str | None
    crowd: "Crowd[_Waiting]" = field(default_factory=Crowd)
    newcomers: list[str] = field(default_factory=list)
    """Viewers in whose names the object was not demanded yet."""
    news: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when there is something to do: to demand the object, or to look for it."""
    expected: bool = False
    """Whether it is to be looked for."""
    task: asyncio.Task[Found] = field(init=False)


@dataclass(eq=False)
class _Waiting(Place):
    """A place, and what is waited for."""

    watch: _Watch = field(kw_only=True)


class WaitingRoom:
    """Where requests wait. Objects are looked for on news of them; glances make up for lost news.

    Nobody keeps others out: when the room, or a package's part of it, is full, the address that
    has most places gives one up to a newcomer who has fewer; at one address its players do so.
    """

    def __init__(self, look: Look, glance: Glance, demand: Demand, limits: WaitingLimits) -> None:
        self._look = look
        self._glance = glance
        self._demand = demand
        self._limits = limits
        self._watches: dict[ContentName, _Watch] = {}
        self._everybody = Crowd[_Waiting]()
        self._packages: defaultdict[str, Crowd[_Waiting]] = defaultdict(Crowd)
        self._rounds = Rounds(self._visit, self._pause_s)
        self._recent = RecentNews()
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
        self._recent.note(news, time.monotonic())
        for watch in self._watches.values():
            if news.concerns(watch.name, watch.rendition):
                _expect(watch)

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

    def _enter(self, name: ContentName, rendition: str | None, viewer: str) -> _Waiting:
        if self._closed:
            raise TooManyWaitingError
        rival = self._rival(name.package_id, viewer)
        watch = self._watches.get(name)
        if watch is None:
            watch = self._watches[name] = _Watch(name, rendition)
            watch.task = asyncio.create_task(self._watch(watch))
        # Those who waited already may have shared the newcomer's look, which began before the news.
        if self._recent.concern(name, rendition, time.monotonic()):
            _expect(watch)
        if not watch.crowd.count(viewer)[1]:
            watch.newcomers.append(viewer)
            watch.news.set()
        place = _Waiting(viewer, watch=watch)
        for crowd in self._crowds(place):
            crowd.add(place)
        if len(watch.crowd.places) == 1:
            self._rounds.add(watch)
        REQUESTS_WAITING.inc()
        if rival is not None:
            # Only now: what both wait for is watched on.
            self._leave(rival)
            rival.lost.set_result(None)
        return place

    def _rival(self, package_id: str, viewer: str) -> _Waiting | None:
        """Return the place that a newcomer gets from somebody else; None when one is free.

        Raises TooManyWaitingError when nobody has to give one up.
        """
        package = self._packages.get(package_id, Crowd[_Waiting]())
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

    def _leave(self, place: _Waiting) -> None:
        """Free a place, if its viewer still has it."""
        if place not in self._everybody.places:
            return
        for crowd in self._crowds(place):
            crowd.remove(place)
        REQUESTS_WAITING.dec()
        watch = place.watch
        if not self._packages[watch.name.package_id].places:
            del self._packages[watch.name.package_id]
        if not watch.crowd.places or watch.task.done():
            watch.task.cancel()
            self._rounds.discard(watch)
            if self._watches.get(watch.name) is watch:
                del self._watches[watch.name]

    def _crowds(self, place: _Waiting) -> Iterable[Crowd[_Waiting]]:
        watch = place.watch
        return self._everybody, self._packages[watch.name.package_id], watch.crowd

    async def _first(self, place: _Waiting, gone: ClientGone) -> Found:
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

    async def _watch(self, watch: _Watch) -> Found:
        due = time.monotonic()
        while True:
            # Cleared before anything is done: news that come meanwhile make it do so once more.
            watch.news.clear()
            names, watch.newcomers = watch.newcomers, []
            if time.monotonic() >= due:
                due = time.monotonic() + self._limits.repeat_s
                names += watch.crowd.most_modest(MAX_NAMES, self._everybody)
            for viewer in dict.fromkeys(names):
                if watch.crowd.count(viewer)[1]:
                    await self._demand.tell(watch.name, viewer)
            if watch.expected:
                watch.expected = False
                with contextlib.suppress(StoreUnavailableError):
                    if file := await self._look(watch.name):
                        return file
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(due - time.monotonic()):
                    await watch.news.wait()

    async def _visit(self, watch: _Watch) -> None:
        """Look for an object if a glance says so: it is there, or will never be."""
        try:
            if not await self._glance(watch.name):
                return
        except StoreUnavailableError:
            return
        except ReelayError:
            pass  # the look tells it those who wait
        _expect(watch)

    def _pause_s(self, watch: _Watch) -> float:
        """Return how long an object needs no glance: who waits for much is looked after less."""
        [viewer] = watch.crowd.most_modest(1, self._everybody)
        return max(self._limits.repeat_s, self._everybody.count(viewer)[0] / PER_S)


def _expect(watch: _Watch) -> None:
    watch.expected = True
    watch.news.set()
