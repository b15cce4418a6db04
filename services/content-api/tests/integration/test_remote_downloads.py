"""The same files out of S3: through the cache, and never with bytes that are not the package's."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from ..segments import film, index, package
from .upstream import gate_before

pytestmark = pytest.mark.integration

OBJECTS = package(film(sample_bytes=30_000)[1:])
FILE = "downloads/480p.mp4"


def payload() -> bytes:
    paths = ["video/480p/init.mp4", "audio/main/init.mp4"]
    for number in range(1, 5):
        paths += [f"video/480p/{number}.m4s", f"audio/main/{number}.m4s"]
    return b"".join(OBJECTS[path] for path in paths)


def fetched(cache: Path) -> set[Path]:
    """Return which objects, whole or not, are in the cache, besides small documents."""
    found = [*cache.glob("*/objects/*"), *cache.glob("*/unfinished/*")]
    return {path for path in found if path.stat().st_size > 10_000}


async def test_cold_file_is_read_through_the_cache_once_and_only_heads_before(
    run_site: Any, s3_url: str, seaweedfs: Any, tmp_path: Path
) -> None:
    async with gate_before(seaweedfs.port) as gate:
        gate.open.set()
        url = s3_url.replace(f":{seaweedfs.port}/", f":{gate.port}/")
        async with run_site(url, cache_dir=tmp_path) as site:
            await site.put_package(OBJECTS)
            gate.requests.clear()
            head = await site.client.head(f"{site.prefix}/{FILE}")
            assert head.status_code == 200
            assert not fetched(tmp_path)
            answers = await asyncio.gather(*(site.get(FILE) for _ in range(5)))
            assert {answer.content[-len(payload()) :] for answer in answers} == {payload()}
            assert {len(answer.content) for answer in answers} == {
                int(head.headers["content-length"])
            }
            # Once for its head, once for the cache.
            assert gate.gets("video/480p/4.m4s") == 2
            part = await site.get(FILE, headers={"range": "bytes=-9"})
            assert part.content == payload()[-9:]


async def test_download_from_a_store_that_is_slow_goes_on_when_it_does(
    run_site: Any, s3_url: str, seaweedfs: Any, tmp_path: Path
) -> None:
    async with gate_before(seaweedfs.port) as gate:
        url = s3_url.replace(f":{seaweedfs.port}/", f":{gate.port}/")
        async with run_site(url, cache_dir=tmp_path) as site:
            await site.put_package(OBJECTS)
            assert (await site.client.head(f"{site.prefix}/{FILE}")).status_code == 200
            async with site.client.stream("GET", f"{site.prefix}/{FILE}") as answer:
                blocks = answer.aiter_raw()
                received = await anext(blocks)
                waiting = asyncio.create_task(site.get("plan.json"))
                assert (await waiting).content == OBJECTS["plan.json"]
                gate.open.set()
                received += b"".join([block async for block in blocks])
        assert received.endswith(payload())


async def test_damaged_segment_breaks_the_download_off(
    run_site: Any, s3_url: str, tmp_path: Path
) -> None:
    damaged = bytearray(OBJECTS["video/480p/4.m4s"])
    damaged[-1] ^= 1
    async with run_site(s3_url, cache_dir=tmp_path) as site:
        await site.put_package(
            {**OBJECTS, "index.json": index(OBJECTS), "video/480p/4.m4s": bytes(damaged)}
        )
        received: list[bytes] = []

        async def receive() -> None:
            async with site.client.stream("GET", f"{site.prefix}/{FILE}") as answer:
                assert answer.status_code == 200
                async for block in answer.aiter_raw():
                    received.append(block)

        with pytest.raises(httpx.RemoteProtocolError):
            await receive()
        assert OBJECTS["video/480p/3.m4s"] in b"".join(received)
        assert bytes(damaged) not in b"".join(received)


async def test_outage_of_the_store_is_503(
    run_site: Any, s3_url: str, seaweedfs: Any, tmp_path: Path
) -> None:
    async with run_site(s3_url, cache_dir=tmp_path) as site:
        await site.put_package(OBJECTS)
        assert (await site.get("plan.json")).status_code == 200
        seaweedfs.kill()
        try:
            answer = await site.get(FILE)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        finally:
            seaweedfs.start()
        async with asyncio.timeout(60):
            while (await site.get(FILE)).status_code == 503:  # noqa: ASYNC110 (not ours)
                await asyncio.sleep(0.5)
