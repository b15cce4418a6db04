"""Clients that read slowly cost a connection each, not the object's size in memory."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from .sites import SEGMENT

pytestmark = pytest.mark.integration

READERS = 200
SIZE = 8 * 1024 * 1024
GROWTH_LIMIT_BYTES = 400 * 1024 * 1024
"""A quarter of what buffering all answers would take; about a third of this was measured."""


def resident_bytes(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found.group(1)) * 1024


async def read_slowly(site: Any, go_on: asyncio.Event) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.program.port, limit=4096)
    writer.write(
        f"GET {site.prefix}/{SEGMENT} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    size = 0
    await go_on.wait()
    while block := await reader.read(1 << 20):
        size += len(block)
    writer.close()
    return size


async def check_memory(site: Any, size: int = SIZE, limit: int = GROWTH_LIMIT_BYTES) -> None:
    await site.plan()
    await site.put(SEGMENT, b"x" * size)
    assert len((await site.get(SEGMENT)).content) == size
    before = resident_bytes(site.pid)
    go_on = asyncio.Event()
    readers = [asyncio.create_task(read_slowly(site, go_on)) for _ in range(READERS)]
    await asyncio.sleep(3)
    stalled = resident_bytes(site.pid)
    assert (await site.client.get("/healthz")).status_code == 200
    go_on.set()
    sizes = await asyncio.gather(*readers)
    print(f"{READERS} slow readers: {(stalled - before) / 2**20:.1f} MiB more")
    assert stalled - before < limit
    assert sizes == [size] * READERS


async def test_slow_readers_of_a_filesystem_store_need_little_memory(run_site: Any) -> None:
    async with run_site() as site:
        await check_memory(site)


async def test_objects_sent_from_memory_have_only_so_much_of_it(run_site: Any) -> None:
    async with run_site() as site:
        await check_memory(site, size=2 * 1024 * 1024, limit=250 * 1024 * 1024)


async def test_slow_readers_of_a_remote_store_need_little_memory(
    run_site: Any, s3_url: str, tmp_path: Path
) -> None:
    async with run_site(s3_url, cache_dir=tmp_path) as site:
        await check_memory(site)


async def test_client_that_takes_nothing_is_cut_off(run_site: Any) -> None:
    async with run_site(stalled_s=2) as site:
        await site.plan()
        await site.put(SEGMENT, b"x" * SIZE)
        reader, writer = await asyncio.open_connection("127.0.0.1", site.program.port, limit=4096)
        writer.write(f"GET {site.prefix}/{SEGMENT} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        async with asyncio.timeout(60):
            while connections(site.pid, site.program.port):  # noqa: ASYNC110 (not ours)
                await asyncio.sleep(0.2)
        writer.close()


def connections(pid: int, port: int) -> int:
    """Return how many connections to a port are established, seen from the server."""
    local = f":{port:04X}"
    lines = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    return sum(line[1].endswith(local) and line[3] == "01" for line in lines)


@pytest.mark.parametrize("begun", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nhost: a\r\n"])
async def test_connection_without_a_whole_request_is_closed(run_site: Any, begun: bytes) -> None:
    async with run_site(head_timeout_s=1) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.program.port)
        writer.write(begun)
        async with asyncio.timeout(30):
            assert await reader.read() == b""
        writer.close()


async def test_overlong_head_is_refused(run_site: Any) -> None:
    async with run_site() as site:
        fields = b"x: " + b"a" * 400_000 + b"\r\n"
        for extra in (fields, b"y: 1\r\n" * 200):
            answer = await site.raw(b"GET / HTTP/1.1\r\nhost: a\r\n" + extra + b"\r\n")
            assert answer.split(b" ")[1] == b"431"
        answer = await site.raw(b"GET /" + b"a" * 66_000 + b" HTTP/1.1\r\n\r\n")
        assert answer.split(b" ")[1] == b"414"
        assert (await site.client.get("/healthz")).status_code == 200
