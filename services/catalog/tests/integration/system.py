"""The catalog as a process of its own, and what tests do with it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx

from reelay.common import child
from reelay.common.cloudevents import wrap
from reelay.common.events import (
    AssetUploaded,
    AssetUploadStarted,
    Event,
    ManifestUpdated,
    PackagePlanned,
    RenditionProgress,
    TranscodeCompleted,
    TranscodeFailed,
)
from reelay.common.messaging import Messaging
from reelay.common.testing.servers import free_port, wait_until

DEADLINE_S = 30.0
Json = dict[str, Any]


@dataclass
class Catalog:
    """One replica."""

    directory: Path
    nats_url: str
    database_url: str
    port: int = field(default_factory=free_port)
    settings: dict[str, str] = field(default_factory=dict)
    """More variables, without their prefix."""
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def token_file(self) -> Path:
        return self.directory / "data" / "admin-token"

    @property
    def admin(self) -> dict[str, str]:
        return bearer(self.token_file.read_text().strip())

    def launch(self) -> None:
        """Start, without waiting."""
        environment = {
            **os.environ,
            "CATALOG_PORT": str(self.port),
            "CATALOG_NATS_URL": self.nats_url,
            "CATALOG_DATABASE_URL": self.database_url,
            "CATALOG_STORE_URL": f"file://{self.directory}/store",
            "CATALOG_ADMIN_TOKEN_FILE": str(self.token_file),
            **{f"CATALOG_{name}": value for name, value in self.settings.items()},
        }
        argv = child.command([sys.executable, "-m", "reelay.catalog"], death_signal=signal.SIGKILL)
        with (self.directory / f"catalog-{self.port}.log").open("ab") as log:
            self.process = subprocess.Popen(argv, env=environment, stdout=log, stderr=log)

    def start(self) -> None:
        """Start and return when all is ready."""
        self.launch()
        wait_until(self.is_ready, "the catalog is ready", 60)

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal; return the exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(DEADLINE_S)

    def memory_bytes(self) -> int:
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024

    def client(self, headers: dict[str, str] | None = None) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=f"{self.url}/api/v1", headers=headers, timeout=30)

    async def draft(self, title: str = "A film", **more: str) -> str:
        async with self.client(self.admin) as client:
            answer = await client.post("/videos", json={"title": title, **more})
        assert answer.status_code == 201, answer.text
        identity: str = answer.json()["id"]
        return identity

    async def get(self, video_id: str) -> Json:
        """Return a video as the administrator sees it."""
        async with self.client(self.admin) as client:
            answer = await client.get(f"/videos/{video_id}")
        assert answer.status_code == 200, answer.text
        video: Json = answer.json()
        return video

    async def show_to(self, video_id: str, visibility: str) -> None:
        """Change who may see a video."""
        async with self.client(self.admin) as client:
            answer = await client.patch(f"/videos/{video_id}", json={"visibility": visibility})
        assert answer.status_code == 200, answer.text

    async def delete(self, video_id: str) -> None:
        async with self.client(self.admin) as client:
            answer = await client.delete(f"/videos/{video_id}")
        assert answer.status_code == 204, answer.text

    async def until(self, video_id: str, **expected: object) -> Json:
        """Return the video once all of `expected` holds."""
        return await self.until_that(video_id, lambda video: expected.items() <= video.items())

    async def until_that(self, video_id: str, holds: Callable[[Json], bool]) -> Json:
        video: Json = {}
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not holds(video := await self.get(video_id)):  # noqa: ASYNC110  # polls HTTP
                    await asyncio.sleep(0.02)
        except TimeoutError as error:
            raise AssertionError(f"still {video}") from error
        return video

    @asynccontextmanager
    async def listen(
        self,
        video_id: str | None = None,
        last_event_id: str | None = None,
        viewer: dict[str, str] | None = None,
    ) -> AsyncIterator["Listener"]:
        headers = {"last-event-id": last_event_id} if last_event_id else {}
        headers |= viewer or {}
        query = {"video_id": video_id} if video_id else {}
        async with (
            self.client(headers) as client,
            client.stream("GET", "/events", params=query) as answer,
        ):
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/event-stream")
            listener = Listener(answer.aiter_lines())
            await listener.block()  # the greeting: from here on nothing is missed
            yield listener


@dataclass
class Sent:
    """A server-sent event."""

    id: str
    event: str
    data: Json


class Listener:
    """Parses a stream of server-sent events."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines

    async def block(self) -> list[str]:
        """Return the lines up to the next empty one; none at the end of the stream."""
        block: list[str] = []
        async with asyncio.timeout(DEADLINE_S):
            async for line in self._lines:
                if not line:
                    break
                block.append(line)
        return block

    async def next(self) -> Sent | None:
        """Return the next event; None at the end of the stream."""
        while block := await self.block():
            if block[0].startswith(":"):
                continue
            fields = dict(line.split(": ", 1) for line in block)
            return Sent(fields["id"], fields["event"], json.loads(fields["data"]))
        return None

    async def until(self, **expected: object) -> list[Sent]:
        """Return the events up to the first whose data holds all of `expected`."""
        events: list[Sent] = []
        while (event := await self.next()) is not None:
            events.append(event)
            if expected.items() <= event.data.items():
                return events
        raise AssertionError(f"the stream ended after {events}")


@dataclass
class Film:
    """The facts about one upload of a video and its package."""

    video_id: str | None
    asset_id: str = field(default_factory=lambda: uuid4().hex * 2)
    package_id: str = field(default_factory=lambda: uuid4().hex * 2)
    upload_id: UUID = field(default_factory=uuid4)
    total: int = 10

    @property
    def video(self) -> UUID | None:
        return UUID(self.video_id) if self.video_id else None

    @property
    def all_stored(self) -> Json:
        """What a client reads of the renditions when nothing is missing."""
        extent = {"stored": 5, "total": 5}
        return {"360p": extent, "audio": extent}

    def started(self) -> AssetUploadStarted:
        return AssetUploadStarted(upload_id=self.upload_id, video_id=self.video)

    def uploaded(self) -> AssetUploaded:
        return AssetUploaded(
            upload_id=self.upload_id,
            video_id=self.video,
            asset_id=self.asset_id,
            source_key=f"sources/{self.upload_id}",
            size_bytes=1,
        )

    def planned(self, decided_at: datetime | None = None) -> PackagePlanned:
        assert self.video
        return PackagePlanned(
            package_id=self.package_id,
            asset_id=self.asset_id,
            video_id=self.video,
            renditions=["360p", "audio"],
            duration_s=10,
            segments_total=self.total,
            decided_at=decided_at,
        )

    def failed(self, decided_at: datetime | None = None) -> TranscodeFailed:
        return TranscodeFailed(
            asset_id=self.asset_id,
            reason="No encoder worked.",
            package_id=self.package_id,
            decided_at=decided_at,
        )

    def stored(self, count: int) -> ManifestUpdated:
        return ManifestUpdated(
            package_id=self.package_id,
            available=[],
            segments_stored=count,
            segments_total=self.total,
            playable=count >= 2,
            renditions=[
                RenditionProgress(
                    rendition="360p", stored=count - count // 2, total=self.total - 5
                ),
                RenditionProgress(rendition="audio", stored=count // 2, total=5),
            ],
        )

    def completed(self) -> TranscodeCompleted:
        return TranscodeCompleted(
            package_id=self.package_id, root_digest="d" * 64, size_bytes=1, warnings=["short"]
        )


async def publish(messaging: Messaging, event: Event, at: datetime | None = None) -> None:
    """Publish a fact of a sender whose clock says that it is `at` (now)."""
    envelope = wrap(event, source="test")
    if at is not None:
        envelope.headers["ce-time"] = at.isoformat()
    await messaging.publish_envelope(envelope)


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}
