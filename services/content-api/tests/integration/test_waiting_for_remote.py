"""Many wait for what a remote store does not have yet: those who fetch notice nothing of it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from reelay.common.storage import ObjectInfo
from reelay.content_api.adapters.failures import StoredFailures
from reelay.content_api.adapters.object_cache import ObjectCache
from reelay.content_api.domain.names import ContentName
from reelay.content_api.domain.news import News
from reelay.content_api.domain.ports import Found
from reelay.content_api.domain.promises import PlannedRendition, Promises
from reelay.content_api.handlers.library import FAILURE_AGE_S, Library, PackageFailedError
from reelay.content_api.handlers.rounds import AT_ONCE, PER_S
from reelay.content_api.handlers.waiting import Visitor, WaitingLimits

from ..waiting import NotedDemand, never
from .caching import PACKAGE, Clock, Machine, RemoteStore, content, key

pytestmark = pytest.mark.integration

ENOUGH_S = 120.0
WAITING = 512
PACKAGE_ID = PACKAGE.removeprefix("packages/")
LIMITS = WaitingLimits(wait_s=ENOUGH_S, repeat_s=0.01, total=WAITING, per_package=WAITING)
STORED = "stored.m4s"


class Counted(RemoteStore):
    """Counts what it is asked for; may be silent when asked whether there is a segment."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.heads = self.hanging = 0
        self.answering = asyncio.Event()
        self.answering.set()

    async def head(self, key: str) -> ObjectInfo:
        if "/video/" in key:
            self.heads += 1
            self.hanging += 1
            await self.answering.wait()
            self.hanging -= 1
        return await super().head(key)


class Planned:
    """The plan of the one film."""

    def known(self, _: str) -> Promises:
        return Promises([PlannedRendition("360p", "video/360p", 2 * WAITING)])

    async def read(self, package_id: str) -> Promises:
        return self.known(package_id)


class Crowd:
    """A content API's library, and all who wait in it."""

    def __init__(self, cache: ObjectCache, store: Counted) -> None:
        self.demand = NotedDemand()
        plans = cast(Any, Planned())
        self.library = Library(cache, plans, StoredFailures(store), self.demand, LIMITS)
        self.waiting: list[asyncio.Task[Found]] = []
        self.complete_at_s = 0.0

    async def gather(self) -> None:
        """Return when everybody waits."""
        for number in range(1, WAITING + 1):
            name = ContentName(PACKAGE_ID, f"video/360p/{number}.m4s")
            fetch = self.library.fetch(name, Visitor("greedy-player", never))
            self.waiting.append(asyncio.create_task(fetch))
        await until(lambda: len(set(self.demand.told)) == WAITING)


async def until(true: Callable[[], bool]) -> None:
    """Return when something is true."""
    async with asyncio.timeout(ENOUGH_S):
        while not true():  # noqa: ASYNC110 (nobody tells of it)
            await asyncio.sleep(0.005)


@pytest.fixture
async def remote(tmp_path: Path) -> Counted:
    return Counted(tmp_path / "remote")


@pytest.fixture
async def cache(remote: Counted, clock: Clock, machine: Machine) -> ObjectCache:
    return machine.start()


@pytest.fixture
async def crowd(cache: ObjectCache, remote: Counted) -> AsyncIterator[Crowd]:
    """A crowd that waits; what it cost until then is not counted."""
    crowd = Crowd(cache, remote)
    await crowd.gather()
    remote.reads.clear()
    remote.heads = 0
    crowd.complete_at_s = time.monotonic()
    yield crowd
    remote.answering.set()
    crowd.library.waiting.close()
    await asyncio.gather(*crowd.waiting, return_exceptions=True)


async def test_others_fetch_while_the_store_is_silent_about_what_is_waited_for(
    crowd: Crowd, cache: ObjectCache, remote: Counted
) -> None:
    remote.answering.clear()
    await until(lambda: remote.hanging == AT_ONCE)
    await remote.put(key(STORED), b"made before")
    async with asyncio.timeout(ENOUGH_S):
        assert await content(cache, STORED) == b"made before"
    assert remote.hanging == AT_ONCE
    glances = {"failed.json"}  # of those who wait: the next is due after FAILURE_AGE_S
    assert set(remote.reads) <= {STORED, "index.json"} | glances


async def test_waiting_costs_the_store_little_however_many_wait(
    crowd: Crowd, remote: Counted
) -> None:
    await until(lambda: remote.heads >= 2 * PER_S)
    elapsed_s = time.monotonic() - crowd.complete_at_s
    assert remote.heads <= elapsed_s * PER_S + 1
    assert set(remote.reads) == {"failed.json"}
    assert 1 <= remote.reads["failed.json"] <= elapsed_s / FAILURE_AGE_S + 1


async def test_news_of_a_segment_are_looked_into_by_those_who_wait_for_it(
    crowd: Crowd, remote: Counted
) -> None:
    await remote.put(key("video/360p/7.m4s"), b"made now")
    crowd.library.waiting.wake(News(PACKAGE_ID, {"360p": [7], "720p": []}))
    async with asyncio.timeout(ENOUGH_S):
        await crowd.waiting[6]
    assert set(remote.reads) <= {"video/360p/7.m4s", "index.json", "failed.json"}
    assert sum(task.done() for task in crowd.waiting) == 1


async def test_news_that_came_while_somebody_looked_are_not_lost(
    cache: ObjectCache, remote: Counted
) -> None:
    crowd = Crowd(cache, remote)
    library = crowd.library
    name = ContentName(PACKAGE_ID, "video/360p/7.m4s")

    class SlowPlans(Planned):
        async def read(self, package_id: str) -> Promises:
            await remote.put(name.key, b"made now")
            library.waiting.wake(News(PACKAGE_ID, {"360p": [7]}))
            remote.answering.clear()  # no glance helps
            return self.known(package_id)

    library._plans = cast(Any, SlowPlans())
    remote.answering.clear()
    async with asyncio.timeout(ENOUGH_S):
        fetching = asyncio.create_task(library.fetch(name, Visitor("home-tv", never)))
        await until(lambda: name in crowd.demand.told)
        await until(lambda: remote.reads["video/360p/7.m4s"] == 2)
        remote.answering.set()
        await fetching


async def test_failure_of_the_package_is_found_without_news(crowd: Crowd, remote: Counted) -> None:
    await remote.put(key("failed.json"), b'{"reason": "Broken."}')
    async with asyncio.timeout(ENOUGH_S):
        done, _ = await asyncio.wait(crowd.waiting, return_when=asyncio.FIRST_COMPLETED)
    with pytest.raises(PackageFailedError):
        await done.pop()
