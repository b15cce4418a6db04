"""The same service on S3."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from .sites import LATE, SEGMENT

pytestmark = pytest.mark.integration

DATA = bytes(range(256)) * 4000


async def test_objects_of_s3_are_served_waited_for_and_forgotten(
    run_site: Any, s3_url: str, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    async with run_site(s3_url, cache_dir=cache, wait_s=5, repeat_s=0.1) as site:
        assert (await site.get(SEGMENT)).status_code == 404
        await site.plan()
        waiting = [asyncio.create_task(site.get(SEGMENT)) for _ in range(20)]
        await site.until_waiting(20)
        await site.put(SEGMENT, DATA)
        assert {(await answer).content for answer in waiting} == {DATA}
        assert len(list(cache.glob("*/objects/*"))) == 1

        part = await site.get(SEGMENT, headers={"range": "bytes=-7"})
        assert (part.status_code, part.content) == (206, DATA[-7:])
        etag = part.headers["etag"]
        known = await site.get(SEGMENT, headers={"if-none-match": etag})
        assert known.status_code == 304
        head = await site.client.head(f"{site.prefix}/{SEGMENT}")
        assert (head.status_code, head.headers["content-length"]) == (200, str(len(DATA)))

        await site.put("failed.json", b'{"reason": "Broken."}')
        assert (await site.get(LATE)).status_code == 410
        await site.store.delete(f"packages/{site.package}/failed.json")
        await site.put(LATE, b"")
        assert (await site.get(LATE)).content == b""
        assert (await site.client.get("/readyz")).status_code == 200
    assert not list(cache.glob("*/pipes/*")) + list(cache.glob("*/unfinished/*"))


async def test_symbolic_links_in_the_cache_are_not_followed(
    run_site: Any, s3_url: str, tmp_path: Path
) -> None:
    cache, secret = tmp_path / "cache", tmp_path / "secret"
    cache.mkdir()
    secret.write_bytes(b"s" * len(DATA))  # of the right size
    async with run_site(s3_url, cache_dir=cache) as site:
        await site.plan()
        await site.put(SEGMENT, DATA)
        assert (await site.get(SEGMENT)).content == DATA
        package = site.package
        [copy] = cache.glob("*/objects/*")
        copy.unlink()
        copy.symlink_to(secret)
        assert (await site.get(SEGMENT)).content == DATA
        assert not copy.is_symlink()
    copy.unlink()
    copy.symlink_to(secret)
    async with run_site(s3_url, cache_dir=cache) as site:  # finds what the one before left
        site.package = package
        assert (await site.get(SEGMENT)).content == DATA
    assert secret.read_bytes() == b"s" * len(DATA)


async def test_outage_of_the_store_is_503_and_not_ready(
    run_site: Any, s3_url: str, seaweedfs: Any, tmp_path: Path
) -> None:
    async with run_site(s3_url, cache_dir=tmp_path) as site:
        await site.plan()
        await site.put(SEGMENT, DATA)
        assert (await site.get(SEGMENT)).content == DATA
        seaweedfs.kill()
        try:
            answer = await site.get(LATE)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert (await site.client.get("/readyz")).status_code == 503
            assert (await site.get(SEGMENT)).content == DATA
        finally:
            seaweedfs.start()
