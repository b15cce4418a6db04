"""The real tus-js-client against two replicas over one PostgreSQL and one store, with kills."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from reelay.common.events import AssetUploaded
from reelay.common.storage.port import read_all
from reelay.common.testing.servers import Program

from .between import BadLine, round_robin
from .client import PART, asset_id_of, movie
from .conftest import BOTH_STORES, System

pytestmark = pytest.mark.integration

SCRIPT = Path(__file__).parent / "tus_js" / "send.mjs"
SIZE = 5 * PART + 123_457
DEADLINE_S = 200


@dataclass
class Sent:
    """What the client told."""

    lines: list[dict[str, Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return str(next(line["url"] for line in self.lines if "url" in line))

    @property
    def done(self) -> bool:
        return any("done" in line for line in self.lines)

    @property
    def replicas(self) -> set[str]:
        return {line["replica"] for line in self.lines if "replica" in line}

    @property
    def retries(self) -> int:
        return sum("retry" in line for line in self.lines)


@dataclass
class Site:
    """Two replicas behind a gateway, behind a line that may break."""

    system: System
    replicas: list[Program]
    line: BadLine
    url: str
    file: Path
    data: bytes

    async def send(self, **options: object) -> Sent:
        """Run the client to its end."""
        settings = {
            "endpoint": f"{self.url}/api/v1/uploads",
            "file": str(self.file),
            "headers": {"Authorization": f"Bearer {self.system.client.token}"},
            "metadata": {"filename": "film.mp4"},
            **options,
        }
        node = shutil.which("node")
        assert node is not None, "these tests need Node.js"
        process = await asyncio.create_subprocess_exec(
            node, str(SCRIPT), json.dumps(settings), stdout=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(DEADLINE_S):
                output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        sent = Sent([json.loads(line) for line in output.splitlines()])
        print(*sent.lines, sep="\n")
        return sent

    async def is_whole(self) -> None:
        """Check that the file was announced once, with the identity of its bytes, and is stored."""
        [fact] = await self.system.facts(AssetUploaded, 1)
        assert fact.asset_id == asset_id_of(self.data)
        assert fact.filename == "film.mp4"
        assert await read_all(self.system.store, fact.source_key) == self.data
        assert await self.system.number_of(AssetUploaded) == 1
        assert await self.system.keys("staging/") == []


@pytest.fixture
async def site(
    system: System, replica: Callable[[], Program], tmp_path: Path
) -> AsyncIterator[Site]:
    second = await asyncio.to_thread(replica)
    await system.ready(second.url)
    replicas = [system.program, second]
    data = movie(SIZE)
    file = tmp_path / "film.mp4"
    await asyncio.to_thread(file.write_bytes, data)
    with round_robin(replicas, tmp_path) as gateway:
        line = BadLine(gateway.port)
        yield Site(system, replicas, line, await line.start(), file, data)
        await line.stop()


@BOTH_STORES
async def test_plain_upload(site: Site, store_kind: str) -> None:
    sent = await site.send()
    assert sent.done, sent.lines
    await site.is_whole()


async def test_upload_in_requests_that_meet_the_replicas_in_turn(site: Site) -> None:
    sent = await site.send(chunkSize=3_000_000)
    assert sent.done, sent.lines
    assert sent.retries == 0, sent.lines
    await site.is_whole()
    assert len(sent.replicas) == 2, "both replicas answered"


async def test_first_bytes_with_the_creation(site: Site) -> None:
    sent = await site.send(uploadDataDuringCreation=True, chunkSize=10_000_000)
    assert sent.done, sent.lines
    await site.is_whole()


@BOTH_STORES
async def test_three_pieces_sent_in_parallel(site: Site, store_kind: str) -> None:
    sent = await site.send(parallelUploads=3)
    assert sent.done, sent.lines
    await site.is_whole()


@pytest.mark.parametrize("chunk_bytes", [PART, 7_000_000])
async def test_stream_of_unknown_length(site: Site, chunk_bytes: int) -> None:
    sent = await site.send(stream=True, chunkSize=chunk_bytes)
    assert sent.done, sent.lines
    await site.is_whole()


@pytest.mark.parametrize("parallel", [1, 3])
async def test_killed_connection_is_resumed(site: Site, parallel: int) -> None:
    site.line.at(SIZE // 2, site.line.cut)
    sent = await site.send(parallelUploads=parallel)
    assert sent.done, sent.lines
    assert site.line.acted
    assert sent.retries > 0
    await site.is_whole()


@pytest.mark.parametrize("victims", [1, 2])
async def test_killed_server_is_resumed(site: Site, victims: int) -> None:
    """One of two is killed and stays dead, or both are and come back."""

    async def kill() -> None:
        for replica in site.replicas[:victims]:
            await asyncio.to_thread(replica.kill)
        if victims == 2:
            await asyncio.to_thread(site.replicas[0].start)

    # The first replica gets the creation and the second the bytes, or the other way round.
    if victims == 1:
        site.replicas.reverse()
    site.line.at(SIZE // 2, kill)
    sent = await site.send()
    assert sent.done, sent.lines
    await site.is_whole()


async def test_upload_goes_on_from_another_machine_that_knows_only_its_url(site: Site) -> None:
    # In pieces of a part, each answered before the next is sent: when the line is cut, some are in.
    site.line.at(SIZE // 2, site.line.cut)
    first = await site.send(retryDelays=[], chunkSize=PART)
    assert not first.done
    offset = await site.system.client.offset(first.url.removeprefix(site.url))
    assert 0 < offset < SIZE
    second = await site.send(uploadUrl=first.url, endpoint=None)
    assert second.done, second.lines
    await site.is_whole()
