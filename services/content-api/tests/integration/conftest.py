"""Content APIs to ask, what stands behind them, and packages in various states."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from reelay.common.commands import DemandWithdrawn, SegmentDemanded
from reelay.common.messaging import Messaging
from reelay.common.testing.s3 import fresh_bucket_url, seaweedfs_server
from reelay.common.testing.servers import Program

from .caching import Clock, Machine, RemoteStore
from .downloading import OBJECTS
from .films import Film
from .serving import DATA
from .sites import SEGMENT, Site, started, visited
from .telling import say_all_told


@pytest.fixture
def run_site(tmp_path: Path) -> Any:
    """Start a content API with settings of the test's own, on a filesystem store."""

    @asynccontextmanager
    async def run(
        store_url: str = f"file://{tmp_path}/store", **settings: Any
    ) -> AsyncIterator[Site]:
        with started(tmp_path, store_url, **settings) as program:
            try:
                async with visited(program, store_url) as site:
                    yield site
            finally:
                # It may wait for its store, which may be a gate on this loop.
                await asyncio.to_thread(program.stop)

    return run


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """An S3 server for all tests."""
    with seaweedfs_server(tmp_path_factory.mktemp("s3")) as program:
        yield program


@pytest.fixture
def s3_url(seaweedfs: Program) -> str:
    """The URL of an empty S3 store."""
    return fresh_bucket_url(seaweedfs)


WAIT_S = 2.0
"""How long the shared content API waits for what is promised."""


@pytest.fixture(scope="session")
def shared_program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Program, str]]:
    """A content API on a filesystem store, without a broker, for all tests; and its store."""
    directory = tmp_path_factory.mktemp("content-api")
    store_url = f"file://{directory}/store"
    with started(directory, store_url, wait_s=WAIT_S, repeat_s=0.1) as program:
        yield program, store_url


@pytest.fixture
async def site(shared_program: tuple[Program, str]) -> AsyncIterator[Site]:
    """A package of the test's own, served without a broker."""
    async with visited(*shared_program) as site:
        yield site


@pytest.fixture
async def connected(run_site: Any, nats: Program, audience: "Audience") -> AsyncIterator[Site]:
    """A content API with a broker, that looks for objects so rarely that only news can wake it."""
    async with run_site(nats_url=nats.url, wait_s=20, repeat_s=15) as site:
        await audience.heard(site)
        yield site


@dataclass
class Audience:
    """Hears demands, as a packager does."""

    messaging: Messaging
    demands: list[SegmentDemanded] = field(default_factory=list)
    withdrawn: list[DemandWithdrawn] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def on_withdrawal(self, withdrawal: DemandWithdrawn) -> None:
        self.withdrawn.append(withdrawal)
        self.news.set()

    async def on_demand(self, demand: SegmentDemanded) -> None:
        self.demands.append(demand)
        self.news.set()

    async def heard(self, site: Site) -> None:
        """Return when the content API is connected: its demands arrive, so it subscribed before."""
        await site.plan()
        async with asyncio.timeout(20):
            while not self.demands:
                waiting = asyncio.create_task(site.get("video/360p/17.m4s"))
                await asyncio.sleep(0.2)
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)
        await asyncio.sleep(0.3)
        self.demands.clear()
        self.withdrawn.clear()

    async def until(self, count: int) -> None:
        """Return when this many demands arrived."""
        async with asyncio.timeout(10):
            while len(self.demands) < count:
                self.news.clear()
                await self.news.wait()

    async def until_withdrawn(self) -> DemandWithdrawn:
        """Return the first withdrawal as soon as it arrived."""
        async with asyncio.timeout(60):
            while not self.withdrawn:
                self.news.clear()
                await self.news.wait()
        return self.withdrawn[0]


@pytest.fixture
async def audience(messaging: Messaging) -> Audience:
    """A listener for demand on the test's own broker."""
    audience = Audience(messaging)
    messaging.on_plain(SegmentDemanded, audience.on_demand)
    messaging.on_plain(DemandWithdrawn, audience.on_withdrawal)
    await messaging.start()
    return audience


@pytest.fixture
async def remote(tmp_path: Path) -> RemoteStore:
    """The store behind a machine's caches."""
    return RemoteStore(tmp_path / "remote")


@pytest.fixture
def clock() -> Clock:
    """The time of a machine's caches."""
    return Clock()


@pytest.fixture
async def machine(remote: RemoteStore, clock: Clock, tmp_path: Path) -> AsyncIterator[Machine]:
    """A machine without any cache yet."""
    directory = tmp_path / "cache"
    directory.mkdir()
    machine = Machine(directory, remote, clock)
    yield machine
    await machine.end_all()


@pytest.fixture
async def etag(site: Site) -> str:
    """The tag of a segment of a package that is planned."""
    await site.plan()
    await site.put(SEGMENT, DATA)
    etag: str = (await site.get(SEGMENT)).headers["etag"]
    return etag


@pytest.fixture
async def whole(site: Site) -> Site:
    """A package that is complete."""
    await site.put_package(OBJECTS)
    return site


@pytest.fixture
async def film(connected: Site, messaging: Messaging) -> Film:
    """A film on a content API that has a broker."""
    film = Film(connected, messaging)
    await say_all_told(messaging)
    await film.prepare()
    return film
