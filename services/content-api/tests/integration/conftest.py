"""A content API as a process of its own, over real HTTP, and packages for it."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from reelay.common.commands import SegmentDemanded
from reelay.common.messaging import Messaging
from reelay.common.storage import ObjectStore, open_store
from reelay.common.testing.s3 import fresh_bucket_url, seaweedfs_server
from reelay.common.testing.servers import Program, free_port

from .caching import Clock, Machine, RemoteStore

NO_BROKER = "nats://127.0.0.1:1"


@dataclass
class Site:
    """A running content API, the store behind it, and a package of the test's own."""

    program: Program
    store: ObjectStore
    client: httpx.AsyncClient
    package: str = field(default_factory=lambda: uuid4().hex * 2)

    @property
    def prefix(self) -> str:
        """The path under which the package is served."""
        return f"/api/v1/content/{self.package}"

    @property
    def directory(self) -> Path:
        """Where the package lies, in a filesystem store."""
        path = self.store.local_path(f"packages/{self.package}")
        assert path is not None
        return path

    @property
    def pid(self) -> int:
        """The process."""
        assert self.program.process is not None
        return self.program.process.pid

    async def put(self, path: str, data: bytes) -> None:
        """Store one object of the package."""
        await self.store.put(f"packages/{self.package}/{path}", data)

    async def plan(self) -> None:
        """Store the plan of the package."""
        renditions = [
            {"id": "360p", "kind": "video", "path": "video/360p", "segments": 17, "height": 360},
            {"id": "audio", "kind": "audio", "path": "audio/main", "segments": 16},
        ]
        document = {"package_id": self.package, "renditions": renditions, "more": True}
        await self.put("plan.json", json.dumps(document).encode())

    async def get(self, path: str, **options: Any) -> httpx.Response:
        """GET an object of the package."""
        return await self.client.get(f"{self.prefix}/{path}", **options)

    async def raw(self, request: bytes) -> bytes:
        """Send bytes as they are; return all that comes back."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.program.port)
        writer.write(request)
        answer = await reader.read()
        writer.close()
        return answer

    def stop(self) -> None:
        """Ask the service to stop."""
        os.kill(self.pid, signal.SIGTERM)


@contextmanager
def started(directory: Path, store_url: str, **settings: Any) -> Iterator[Program]:
    """Run a content API; `settings` are those of ContentApiSettings."""
    port = free_port()
    settings = {"nats_url": NO_BROKER, **settings, "port": port, "store_url": store_url}
    environment = [f"CONTENT_API_{name.upper()}={value}" for name, value in settings.items()]
    argv = ["env", *environment, sys.executable, "-m", "reelay.content_api"]
    program = Program(argv, port, f"http://127.0.0.1:{port}", directory / f"content-{port}.log")
    program.start()
    try:
        yield program
    finally:
        program.stop()
        assert b"Traceback" not in program.log.read_bytes()


@asynccontextmanager
async def visited(program: Program, store_url: str) -> AsyncIterator[Site]:
    """Give a client of a running content API."""
    limits = httpx.Limits(max_connections=400)
    async with httpx.AsyncClient(base_url=program.url, timeout=30, limits=limits) as client:
        yield Site(program, open_store(store_url), client)


@pytest.fixture
def run_site(tmp_path: Path) -> Any:
    """Start a content API with settings of the test's own, on a filesystem store."""

    @asynccontextmanager
    async def run(
        store_url: str = f"file://{tmp_path}/store", **settings: Any
    ) -> AsyncIterator[Site]:
        with started(tmp_path, store_url, **settings) as program:
            async with visited(program, store_url) as site:
                yield site

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


@pytest.fixture(scope="session")
def shared_program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Program, str]]:
    """A content API on a filesystem store, without a broker, for all tests; and its store."""
    directory = tmp_path_factory.mktemp("content-api")
    store_url = f"file://{directory}/store"
    with started(directory, store_url, wait_s=0.6, repeat_s=0.1) as program:
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
    news: asyncio.Event = field(default_factory=asyncio.Event)

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

    async def until(self, count: int) -> None:
        """Return when this many demands arrived."""
        async with asyncio.timeout(10):
            while len(self.demands) < count:
                self.news.clear()
                await self.news.wait()


@pytest.fixture
async def audience(messaging: Messaging) -> Audience:
    """A listener for demand on the test's own broker."""
    audience = Audience(messaging)
    messaging.on_plain(SegmentDemanded, audience.on_demand)
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
