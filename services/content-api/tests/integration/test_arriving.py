"""Objects that are on their way from S3 are served from their first bytes."""

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from reelay.common.testing.servers import Program

from .sites import SEGMENT
from .upstream import Gate, gate_before

pytestmark = pytest.mark.integration

DATA = os.urandom(1_500_000)


@pytest.fixture
async def gate(seaweedfs: Program) -> AsyncIterator[Gate]:
    async with gate_before(seaweedfs.port) as gate:
        yield gate


@pytest.fixture
async def far(
    run_site: Any, s3_url: str, seaweedfs: Program, gate: Gate, tmp_path: Path
) -> AsyncIterator[Any]:
    """A service whose store lies behind the gate, and a segment that nobody asked for yet."""
    url = s3_url.replace(f":{seaweedfs.port}/", f":{gate.port}/")
    async with run_site(url, cache_dir=tmp_path, stalled_s=4) as site:
        gate.open.set()
        await site.plan()
        await site.put(SEGMENT, DATA)
        assert (await site.get("plan.json")).status_code == 200
        gate.requests.clear()
        gate.open.clear()
        yield site


async def begun(site: Any, gate: Gate, field: str | None = None) -> Any:
    """Ask for the segment; return status, what came while the gate was closed, and the rest."""
    headers = {"range": field} if field else {}
    async with site.client.stream("GET", f"{site.prefix}/{SEGMENT}", headers=headers) as answer:
        blocks = answer.aiter_raw(1000)
        first = await anext(blocks)
        gate.open.set()
        rest = b"".join([block async for block in blocks])
        return answer, first + rest


async def test_first_bytes_are_sent_before_the_last_ones_arrive(far: Any, gate: Gate) -> None:
    async with asyncio.timeout(30):
        answer, content = await begun(far, gate)
    assert (answer.status_code, content) == (200, DATA)
    assert answer.headers["content-length"] == str(len(DATA))
    again = await far.get(SEGMENT)
    assert again.content == DATA
    assert {**again.headers, "date": ""} == {**answer.headers, "date": ""}
    assert gate.gets(SEGMENT) == 1


async def test_range_is_sent_while_the_object_arrives(far: Any, gate: Gate) -> None:
    async with asyncio.timeout(30):
        answer, content = await begun(far, gate, "bytes=1000-900000")
    assert (answer.status_code, content) == (206, DATA[1000:900001])
    assert answer.headers["content-range"] == f"bytes 1000-900000/{len(DATA)}"


async def test_hundred_clients_of_one_cold_object_are_one_request_to_the_store(
    far: Any, gate: Gate
) -> None:
    asking = [asyncio.create_task(far.get(SEGMENT)) for _ in range(100)]
    await asyncio.sleep(1)
    assert (await far.client.get("/healthz")).status_code == 200
    assert (await far.get("plan.json")).status_code == 200
    gate.open.set()
    answers: list[httpx.Response] = await asyncio.gather(*asking)
    assert {answer.status_code for answer in answers} == {200}
    assert all(answer.content == DATA for answer in answers)
    assert gate.gets(SEGMENT) == 1


async def test_small_ranges_and_head_of_an_arriving_object(far: Any, gate: Gate) -> None:
    async with asyncio.timeout(30):
        part = await far.get(SEGMENT, headers={"range": "bytes=5-9"})
        assert (part.status_code, part.content) == (206, DATA[5:10])
        head = await far.client.head(f"{far.prefix}/{SEGMENT}")
        assert (head.status_code, head.headers["content-length"]) == (200, str(len(DATA)))
        beyond = await far.get(SEGMENT, headers={"range": f"bytes={len(DATA)}-"})
        assert beyond.status_code == 416
        gate.open.set()
        last = await far.get(SEGMENT, headers={"range": "bytes=-5"})
        assert last.content == DATA[-5:]
    assert gate.gets(SEGMENT) == 1


async def test_store_that_breaks_off_is_asked_for_the_rest(far: Any, gate: Gate) -> None:
    gate.breaks_off = True
    async with asyncio.timeout(30):
        answer, content = await begun(far, gate)
    assert (answer.status_code, content) == (200, DATA)
    assert gate.gets(SEGMENT) == 2


async def test_service_stops_while_its_store_is_silent(far: Any, gate: Gate) -> None:
    async with far.client.stream("GET", f"{far.prefix}/{SEGMENT}") as answer:
        blocks = answer.aiter_raw(1000)
        await anext(blocks)
        began_at = asyncio.get_running_loop().time()
        await asyncio.to_thread(far.program.stop)
        # A store may be silent for a minute before a read of it is given up.
        assert asyncio.get_running_loop().time() - began_at < 20
        with pytest.raises(httpx.NetworkError):
            async for _ in blocks:
                pass


async def test_store_that_stays_away_breaks_the_answer_off_and_is_asked_again(
    far: Any, gate: Gate
) -> None:
    gate.breaks_off = gate.stays_down = True
    with pytest.raises(httpx.RemoteProtocolError):
        await begun(far, gate)
    gate.repair()
    assert (await far.get(SEGMENT)).content == DATA


async def test_damaged_object_is_never_sent_whole(far: Any, gate: Gate) -> None:
    gate.open.set()
    far.package = uuid4().hex * 2
    await far.plan()
    path = "video/360p/2.m4s"
    listed = {path: {"size": len(DATA), "sha256": hashlib.sha256(b"other").hexdigest()}}
    await far.put("index.json", json.dumps({"objects": listed}).encode())
    await far.put(path, DATA)
    with pytest.raises(httpx.RemoteProtocolError):
        await far.get(path)
    assert (await far.get(path, headers={"range": "bytes=-5"})).status_code == 503


async def test_clients_that_leave_or_stall_give_their_pipes_back(
    far: Any, gate: Gate, tmp_path: Path
) -> None:
    request = f"GET {far.prefix}/{SEGMENT} HTTP/1.1\r\nhost: a\r\n\r\n".encode()
    connections = []
    for number in range(40):
        reader, writer = await asyncio.open_connection("127.0.0.1", far.program.port, limit=4096)
        writer.write(request)
        connections.append((reader, writer))
        if number % 2:
            await asyncio.sleep(0.02)
            writer.close()
    gate.open.set()
    assert (await far.get(SEGMENT)).content == DATA

    async with asyncio.timeout(60):
        while pipes(tmp_path):  # noqa: ASYNC110 (another process's doing)
            await asyncio.sleep(0.2)
    for _, writer in connections:
        writer.close()


def pipes(directory: Path) -> list[Path]:
    return list(directory.glob("*/pipes/*"))
