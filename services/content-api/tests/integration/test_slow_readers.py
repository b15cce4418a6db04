"""Clients that read slowly cost a connection each, not the object's size in memory."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.integration

READERS = 200
SIZE = 8 * 1024 * 1024
SEGMENT = "video/360p/1.m4s"
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


async def check_memory(site: Any) -> None:
    await site.plan()
    await site.put(SEGMENT, b"x" * SIZE)
    assert len((await site.get(SEGMENT)).content) == SIZE
    before = resident_bytes(site.pid)
    go_on = asyncio.Event()
    readers = [asyncio.create_task(read_slowly(site, go_on)) for _ in range(READERS)]
    await asyncio.sleep(3)
    stalled = resident_bytes(site.pid)
    assert (await site.client.get("/healthz")).status_code == 200
    go_on.set()
    sizes = await asyncio.gather(*readers)
    print(f"{READERS} slow readers: {(stalled - before) / 2**20:.1f} MiB more")
    assert stalled - before < GROWTH_LIMIT_BYTES
    assert sizes == [SIZE] * READERS


async def test_slow_readers_of_a_filesystem_store_need_little_memory(run_site: Any) -> None:
    async with run_site() as site:
        await check_memory(site)


async def test_slow_readers_of_a_remote_store_need_little_memory(
    run_site: Any, s3_url: str, tmp_path: Path
) -> None:
    async with run_site(s3_url, cache_dir=tmp_path) as site:
        await check_memory(site)
