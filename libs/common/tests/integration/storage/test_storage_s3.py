"""What only the S3 store can get wrong: the server's absence, its bucket, large files, listings."""

import asyncio
import threading
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from reelay.common.storage import (
    InvalidPartsError,
    ObjectMissingError,
    StoreUnavailableError,
    open_store,
    read_all,
)
from reelay.common.storage.s3 import S3ObjectStore
from reelay.common.testing.s3 import (
    ACCESS_KEY,
    SECRET_KEY,
    fresh_bucket_url,
    seaweedfs_server,
    start_seaweedfs,
)
from reelay.common.testing.servers import Program

from .conftest import Closing

pytestmark = pytest.mark.integration


async def test_file_above_the_single_put_limit_is_sent_in_parts(
    seaweedfs: Program, tmp_path: Path, closing: Closing
) -> None:
    store = closing(
        S3ObjectStore(
            f"127.0.0.1:{seaweedfs.port}",
            urlsplit(fresh_bucket_url(seaweedfs)).path.strip("/"),
            ACCESS_KEY,
            SECRET_KEY,
            single_put_max_bytes=9_000_000,
        )
    )
    source = tmp_path / "source"
    source.write_bytes(bytes(range(250)) * 40_000)
    assert (await store.put("k", source)).created
    assert not (await store.put("k", source)).created
    assert await read_all(store, "k") == source.read_bytes()
    assert await store.sweep(-60) == 0


async def test_check_makes_the_bucket(seaweedfs: Program, closing: Closing) -> None:
    store = closing(open_store(fresh_bucket_url(seaweedfs)))
    with pytest.raises(ObjectMissingError):
        await store.head("k")
    with pytest.raises(ObjectMissingError):
        await read_all(store, "k")
    await asyncio.gather(*(store.check() for _ in range(4)))
    await store.check()


async def test_wrong_secret_makes_the_store_unavailable(
    seaweedfs: Program, closing: Closing
) -> None:
    store = closing(open_store(fresh_bucket_url(seaweedfs).replace(SECRET_KEY, "wrong")))
    for call in (store.check(), store.put("k", b"x"), store.head("k"), read_all(store, "k")):
        with pytest.raises(StoreUnavailableError):
            await call


async def test_server_that_is_gone_makes_the_store_unavailable_and_its_return_cures_it(
    tmp_path: Path, closing: Closing
) -> None:
    with seaweedfs_server(tmp_path) as program:
        store = closing(open_store(fresh_bucket_url(program)))
        await store.put("k", b"bytes")
        program.kill()
        calls = (store.put("l", b"x"), store.head("k"), read_all(store, "k"), store.check())
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(result) for result in results] == [StoreUnavailableError] * 4
        program.start()
        async with asyncio.timeout(60):
            while True:
                try:
                    assert await read_all(store, "k") == b"bytes"
                    break
                except StoreUnavailableError:
                    await asyncio.sleep(0.2)


async def test_two_servers_run_side_by_side(
    seaweedfs: Program, tmp_path: Path, closing: Closing
) -> None:
    with start_seaweedfs(tmp_path) as url:
        other = closing(open_store(url))
        shared = closing(open_store(fresh_bucket_url(seaweedfs)))
        await other.put("k", b"other")
        await shared.put("k", b"shared")
        assert await read_all(other, "k") == b"other"
        assert await read_all(shared, "k") == b"shared"


async def test_nothing_of_an_s3_store_lies_on_this_machine(seaweedfs: Program) -> None:
    store = open_store(fresh_bucket_url(seaweedfs))
    await store.put("k", b"x")
    assert store.local_path("k") is None


async def test_requests_keep_to_their_own_threads(seaweedfs: Program) -> None:
    store = open_store(fresh_bucket_url(seaweedfs))
    await asyncio.gather(*(store.put(f"k/{n}", b"x") for n in range(100)))
    names = [thread.name for thread in threading.enumerate()]
    assert not any(name.startswith("asyncio_") for name in names)


async def test_links_are_signed_for_the_address_that_clients_know(seaweedfs: Program) -> None:
    url = fresh_bucket_url(seaweedfs)
    store = open_store(f"{url}?public=http://localhost:{seaweedfs.port}")
    await store.put("k", b"bytes")
    request = await store.presign_get("k", 60)
    assert request.url.startswith(f"http://localhost:{seaweedfs.port}/")
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(request.url)).content == b"bytes"
    elsewhere = await open_store(f"{url}?public=https://media.example").presign_get("k", 60)
    assert elsewhere.url.startswith("https://media.example/")
    with pytest.raises(ValueError, match="no address"):
        open_store(f"{url}?public=media.example")


async def test_attempts_begun_without_the_algorithm_refuse_digests_and_others_need_them(
    seaweedfs: Program, closing: Closing
) -> None:
    """Why attempts say how their parts will come; AWS does the same."""
    store = closing(open_store(fresh_bucket_url(seaweedfs)))
    assert isinstance(store, S3ObjectStore)
    await store.check()
    data = b"bytes"
    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
        for algorithm, status in ((None, 200), ("CRC32", 400), ("CRC64NVME", 400), ("SHA256", 200)):
            headers = {} if algorithm is None else {"x-amz-checksum-algorithm": algorithm}
            begin = store._bucket.client._create_multipart_upload
            attempt = await asyncio.to_thread(begin, store._bucket.name, "k", headers)
            signed = await store.presign_part(
                "k", attempt, 1, sha256(data).hexdigest(), 60, size_bytes=len(data)
            )
            answer = await client.put(signed.url, content=data, headers=signed.headers)
            assert answer.status_code == status, algorithm
    [part] = await store.list_parts("k", attempt)
    for digests in ([], [sha256(b"other").digest()]):
        with pytest.raises((StoreUnavailableError, InvalidPartsError)):
            await store.complete_parts("k", attempt, [part.tag], digests=digests)
    digests = [sha256(data).digest()]
    assert (await store.complete_parts("k", attempt, [part.tag], digests=digests)).created
    assert await read_all(store, "k") == data
