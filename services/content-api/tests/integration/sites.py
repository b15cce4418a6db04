"""A content API as a process of its own, over real HTTP, and packages for it."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from reelay.common.events import ManifestUpdated, SegmentRange
from reelay.common.storage import ObjectStore, open_store
from reelay.common.testing.servers import Program, free_port

from ..segments import index

SEGMENT = "video/360p/1.m4s"
LATE = "video/360p/2.m4s"
"""Names that the plan of every site promises."""
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

    async def put_package(self, objects: dict[str, bytes]) -> None:
        """Store a whole package: these objects and, unless it is among them, their index."""
        everything = {"index.json": index(objects), **objects}
        await asyncio.gather(*(self.put(path, data) for path, data in everything.items()))

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

    async def raw_get(self, target: str) -> bytes:
        """GET a target as it is spelled, which a client would tidy; return all that comes back."""
        request = f"GET {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
        return await self.raw(request.encode())

    async def until_waiting(self, count: int) -> None:
        """Return when this many requests wait for objects, by the service's own count."""
        async with asyncio.timeout(30):
            while await self.metric("reelay_content_waiting") != count:  # noqa: ASYNC110 (another process)
                await asyncio.sleep(0.02)

    async def metric(self, name: str) -> float:
        """Return the value of a metric without labels."""
        report = (await self.client.get("/metrics")).text
        found = re.search(rf"^{name} (\S+)$", report, re.MULTILINE)
        assert found is not None, name
        return float(found.group(1))

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
    async with (
        httpx.AsyncClient(base_url=program.url, timeout=30, limits=limits) as client,
        aclosing(open_store(store_url)) as store,
    ):
        yield Site(program, store, client)


def updated(package: str, rendition: str, number: int) -> ManifestUpdated:
    """Return what a packager says when a segment is stored."""
    available = [SegmentRange(rendition=rendition, first=number, last=number)]
    return ManifestUpdated(
        package_id=package,
        available=available,
        segments_stored=1,
        segments_total=33,
        playable=False,
    )
