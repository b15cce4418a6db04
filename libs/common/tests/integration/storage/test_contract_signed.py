"""What signed requests allow, and nothing else, held against every adapter over real HTTP."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from hashlib import sha256

import httpx
import pytest
from granian.constants import Interfaces
from granian.server.embed import Server

from reelay.common.http import create_app
from reelay.common.identity import MAX_PARTS, PART_SIZE_BYTES
from reelay.common.storage import (
    AttemptMissingError,
    InvalidPartsError,
    ObjectStore,
    SignedRequest,
    read_all,
)
from reelay.common.storage.filesystem import FilesystemObjectStore
from reelay.common.storage.signed_http import signed_router
from reelay.common.testing.servers import free_port

from .reading import FULL_PART

pytestmark = pytest.mark.integration

Send = Callable[..., "asyncio.Future[httpx.Response]"]


@pytest.fixture
async def send(any_store: ObjectStore) -> AsyncIterator[Send]:
    """Make signed requests; those of a directory are answered by a server of ours."""
    base, server, serving = "", None, None
    if isinstance(any_store, FilesystemObjectStore):
        app = create_app("test", {})
        app.include_router(signed_router(any_store))
        port = free_port()
        base = f"http://127.0.0.1:{port}"
        interface = Interfaces("asginl")
        server = Server(app, port=port, interface=interface, log_enabled=False)
        serving = asyncio.create_task(server.serve())
    async with httpx.AsyncClient(timeout=20, trust_env=False) as client:
        if base:
            await answering(client, base)

        async def make(
            request: SignedRequest, body: bytes | None = None, **headers: str
        ) -> httpx.Response:
            return await client.request(
                request.method,
                base + request.url,
                content=body,
                headers={**request.headers, **headers},
            )

        yield make  # type: ignore[misc]  # a coroutine function is a callable of awaitables
    if server and serving:
        server.stop()
        await serving


async def answering(client: httpx.AsyncClient, base: str) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                await client.get(f"{base}/healthz")
            except httpx.TransportError:
                await asyncio.sleep(0.05)
            else:
                return


def sha(data: bytes) -> str:
    return sha256(data).hexdigest()


async def test_parts_sent_by_signed_requests_become_an_object(
    any_store: ObjectStore, send: Send
) -> None:
    attempt = await any_store.begin_parts("sources/s", signed=True)
    assert await any_store.list_parts("sources/s", attempt) == []
    bodies = {2: b"end", 1: FULL_PART}
    for number, body in bodies.items():
        request = await any_store.presign_part(
            "sources/s", attempt, number, sha(body), 60, size_bytes=len(body)
        )
        assert (await send(request, body)).status_code == 200
    parts = await any_store.list_parts("sources/s", attempt)
    assert [(part.number, part.size_bytes) for part in parts] == [(1, PART_SIZE_BYTES), (2, 3)]
    tags, digests = [part.tag for part in parts], [sha256(bodies[n]).digest() for n in (1, 2)]
    assert (await any_store.complete_parts("sources/s", attempt, tags, digests=digests)).created
    assert await read_all(any_store, "sources/s") == FULL_PART + b"end"


async def test_bytes_of_another_digest_are_refused(any_store: ObjectStore, send: Send) -> None:
    attempt = await any_store.begin_parts("k", signed=True)
    request = await any_store.presign_part("k", attempt, 1, sha(b"bytes"), 60, size_bytes=5)
    assert (await send(request, b"other")).status_code == 400
    assert (await send(request, b"")).status_code in (400, 403)
    assert await any_store.list_parts("k", attempt) == []
    assert (await send(request, b"bytes")).status_code == 200


async def test_bytes_of_another_length_are_refused_before_they_are_taken(
    any_store: ObjectStore, send: Send
) -> None:
    """Else a link for one small part could fill the store: S3 takes parts of up to 5 GiB."""
    attempt = await any_store.begin_parts("k", signed=True)
    for body in (b"byte", b"bytes!"):
        request = await any_store.presign_part("k", attempt, 1, sha(body), 60, size_bytes=5)
        assert (await send(request, body)).status_code == 403
    assert await any_store.list_parts("k", attempt) == []


async def test_signed_request_changed_anywhere_is_refused(
    any_store: ObjectStore, send: Send
) -> None:
    await any_store.put("other", b"secret")
    attempt, second = [await any_store.begin_parts("k", signed=True) for _ in range(2)]
    signed = await any_store.presign_part("k", attempt, 1, sha(b"bytes"), 60, size_bytes=5)
    reading = await any_store.presign_get("k", 60)
    changes = [
        ("/k?", "/other?"),
        ("part=1", "part=2"),
        ("partNumber=1", "partNumber=2"),
        (attempt, second),
        (sha(b"bytes"), sha(b"other")),
        ("size=5", "size=6"),
        ("xpires=", "xpires=9"),
    ]
    for request in (signed, reading):
        for old, new in changes:
            if old in request.url:
                changed = replace(request, url=request.url.replace(old, new))
                assert (await send(changed, b"bytes")).status_code in (400, 403), changed.url
    for method in ("GET", "DELETE", "POST"):
        answer = await send(replace(signed, method=method))
        assert answer.status_code in (403, 405)
        assert b"secret" not in answer.content
    bare = replace(signed, url=signed.url.partition("?")[0])
    assert (await send(bare, b"bytes")).status_code == 403
    assert await any_store.list_parts("k", attempt) == []


async def test_signed_request_is_over_when_it_says_so(any_store: ObjectStore, send: Send) -> None:
    await any_store.put("k", b"bytes")
    lasting = await any_store.presign_get("k", 60)
    request = await any_store.presign_get("k", 1)  # may be over before a busy machine sends it
    async with asyncio.timeout(20):
        while (answer := await send(request)).status_code == 200:  # noqa: ASYNC110 (no event)
            await asyncio.sleep(0.2)
    assert answer.status_code == 403
    assert b"bytes" not in answer.content
    assert (await send(lasting)).status_code == 200


async def test_signed_reader_gets_the_object_and_its_ranges(
    any_store: ObjectStore, send: Send
) -> None:
    data = FULL_PART[:600_001]
    await any_store.put("a/k", data)
    request = await any_store.presign_get("a/k", 60)
    whole = await send(request)
    assert (whole.status_code, whole.content) == (200, data)
    for wanted, expected in (
        ("bytes=0-0", data[:1]),
        ("bytes=600000-", data[-1:]),
        ("bytes=5-9999999", data[5:]),
        ("bytes=-7", data[-7:]),
    ):
        part = await send(request, range=wanted)
        assert (part.status_code, part.content) == (206, expected), wanted
        assert part.headers["content-range"].endswith("/600001")
    assert (await send(request, range="bytes=600001-")).status_code == 416
    absurd = await send(request, range=f"bytes={'9' * 5000}-")
    assert absurd.status_code in (200, 416), absurd.text


async def test_signed_requests_about_nothing_find_nothing(
    any_store: ObjectStore, send: Send
) -> None:
    await any_store.put("k", b"x")
    assert (await send(await any_store.presign_get("nothing", 60))).status_code == 404
    attempt = await any_store.begin_parts("k", signed=True)
    request = await any_store.presign_part("k", attempt, 1, sha(b"x"), 60, size_bytes=1)
    await any_store.abort_parts("k", attempt)
    assert (await send(request, b"x")).status_code == 404
    with pytest.raises(AttemptMissingError):
        await any_store.list_parts("k", attempt)
    with pytest.raises(InvalidPartsError):
        await any_store.presign_part("k", attempt, 0, sha(b"x"), 60, size_bytes=1)


async def test_parts_are_listed_by_their_numbers_beyond_a_page(any_store: ObjectStore) -> None:
    attempt = await any_store.begin_parts("k")
    numbers = [*range(1, 1_002), MAX_PARTS]
    limit = asyncio.Semaphore(16)

    async def put(number: int) -> None:
        async with limit:
            await any_store.put_part("k", attempt, number, b"x")

    await asyncio.gather(*map(put, numbers))
    assert [part.number for part in await any_store.list_parts("k", attempt)] == numbers
    await any_store.abort_parts("k", attempt)
