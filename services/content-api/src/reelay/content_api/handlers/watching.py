"""Objects that are waited for: one watch each, that demands it and looks for it on news."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from reelay.common.errors import ReelayError
from reelay.common.storage import StoreUnavailableError
from reelay.content_api.domain.names import ContentName
from reelay.content_api.domain.news import News, RecentNews
from reelay.content_api.domain.ports import Demand, Found
from reelay.content_api.handlers.places import Crowd, Place
from reelay.content_api.handlers.rounds import PER_S, Rounds

MAX_NAMES = 8
"""In how many viewers' names a demand is repeated: the greedy must not crowd out the modest."""

Look = Callable[[ContentName], Awaitable[Found | None]]
"""Returns the object's file or None; raises when it will never exist."""

Glance = Callable[[ContentName], Awaitable[bool]]
"""Tells cheaply whether it is time for a look; may raise what a look does."""


@dataclass(eq=False)
class Watch:
    """One object, and who waits for it."""

    name: ContentName
    rendition: str | None
    crowd: "Crowd[Waiting]" = field(default_factory=Crowd)
    newcomers: list[str] = field(default_factory=list)
    """Viewers in whose names the object was not demanded yet."""
    news: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when there is something to do: to demand the object, or to look for it."""
    expected: bool = False
    """Whether it is to be looked for."""
    task: asyncio.Task[Found] = field(init=False)
    """Ends with the object's file, or with what the look raised."""

    def expect(self) -> None:
        """Let the object be looked for."""
        self.expected = True
        self.news.set()

    def greet(self, viewer: str) -> None:
        """Let the object be demanded for a viewer who comes, unless it was."""
        if not self.crowd.count(viewer)[1]:
            self.newcomers.append(viewer)
            self.news.set()


@dataclass(eq=False)
class Waiting(Place):
    """A place, and what is waited for."""

    watch: Watch = field(kw_only=True)


class Watches:
    """All that is waited for. Glances, at a bounded price, make up for lost news."""

    def __init__(
        self,
        look: Look,
        glance: Glance,
        demand: Demand,
        repeat_s: float,
        everybody: Crowd[Waiting],
    ) -> None:
        """A demand is repeated every `repeat_s`; among `everybody` the modest go first."""
        self._look = look
        self._glance = glance
        self._demand = demand
        self._repeat_s = repeat_s
        self._everybody = everybody
        self._watches: dict[ContentName, Watch] = {}
        self._rounds = Rounds(self._visit, self._pause_s)
        self._recent = RecentNews()

    def of(self, name: ContentName, rendition: str | None) -> Watch:
        """Return the watch of an object, begun now if need be."""
        watch = self._watches.get(name)
        if watch is None:
            watch = self._watches[name] = Watch(name, rendition)
            watch.task = asyncio.create_task(self._run(watch))
        # Those who waited already may have shared the newcomer's look, which began before the news.
        if self._recent.concern(name, rendition, time.monotonic()):
            watch.expect()
        return watch

    def joined(self, watch: Watch) -> None:
        """Note that somebody waits for an object now."""
        if len(watch.crowd.places) == 1:
            self._rounds.add(watch)

    def left(self, watch: Watch) -> None:
        """Note that somebody waits no more; end a watch that is over or for nobody."""
        if not watch.crowd.places or watch.task.done():
            watch.task.cancel()
            self._rounds.discard(watch)
            if self._watches.get(watch.name) is watch:
                del self._watches[watch.name]

    def wake(self, news: News) -> None:
        """Look now for what there is news of."""
        self._recent.note(news, time.monotonic())
        for watch in self._watches.values():
            if news.concerns(watch.name, watch.rendition):
                watch.expect()

    def dismiss(self, package_id: str) -> None:
        """End the watches of a package; whoever waits is told."""
        for watch in self._watches.values():
            if watch.name.package_id == package_id:
                watch.task.cancel()

    def close(self) -> None:
        """End all watches; whoever waits is told."""
        for watch in self._watches.values():
            watch.task.cancel()

    async def _run(self, watch: Watch) -> Found:
        due = time.monotonic()
        while True:
            # Cleared before anything is done: news that come meanwhile make it do so once more.
            watch.news.clear()
            names, watch.newcomers = watch.newcomers, []
            if time.monotonic() >= due:
                due = time.monotonic() + self._repeat_s
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

    async def _visit(self, watch: Watch) -> None:
        """Look for an object if a glance says so: it is there, or will never be."""
        try:
            if not await self._glance(watch.name):
                return
        except StoreUnavailableError:
            return
        except ReelayError:
            pass  # the look tells it those who wait
        watch.expect()

    def _pause_s(self, watch: Watch) -> float:
        """Return how long an object needs no glance: who waits for much is looked after less."""
        [viewer] = watch.crowd.most_modest(1, self._everybody)
        return max(self._repeat_s, self._everybody.count(viewer)[0] / PER_S)
