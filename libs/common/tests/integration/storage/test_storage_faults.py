"""What the S3 store does when the way to its server breaks, stalls, or the server fails."""

import asyncio
import re
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import urlsplit

import pytest

from reelay.common.storage import (
    ObjectStore,
    StoreRefusesError,
    StoreUnavailableError,
    open_store,
    read_all,
)
from reelay.common.storage.breaker import THRESHOLD
from reelay.common.storage.s3 import S3ObjectStore
from reelay.common.testing.s3 import ACCESS_KEY, SECRET_KEY, fresh_bucket_url
from reelay.common.testing.servers import Program

from .conftest import Closing
from .reading import FULL_PART
from .scripted import Answers, server

pytestmark = pytest.mark.integration

FAILING = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"
FOUND = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\netag: x\r\n\r\n"


def store_at(port: int, bucket: str = "bucket", read_timeout_s: float = 30) -> S3ObjectStore:
    return S3ObjectStore(
        f"127.0.0.1:{port}", bucket, ACCESS_KEY, SECRET_KEY, read_timeout_s=read_timeout_s
    )


class Proxy:
    """Passes bytes on to a server, and cuts answers after a number of bytes, some times."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.cuts = 0
        self.cut_after_bytes = 0
        self.requests = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_read, to_write = await asyncio.open_connection("127.0.0.1", self.port)
        asking = asyncio.create_task(self._ask(reader, to_write))
        passed = 0
        try:
            while data := await to_read.read(65_536):
                passed += len(data)
                if self.cuts and passed > self.cut_after_bytes:
                    self.cuts -= 1
                    return
                writer.write(data)
                await writer.drain()
        finally:
            asking.cancel()
            to_write.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            self.requests += data
            writer.write(data)
            await writer.drain()


async def test_reading_goes_on_where_a_broken_connection_left_off(
    seaweedfs: Program, closing: Closing
) -> None:
    url = fresh_bucket_url(seaweedfs)
    await open_store(url).put("k", FULL_PART)
    proxy = Proxy(seaweedfs.port)
    async with server(proxy.serve) as port:
        store = closing(store_at(port, urlsplit(url).path.strip("/")))
        proxy.cuts, proxy.cut_after_bytes = 3, 1_000_000
        assert await read_all(store, "k") == FULL_PART
        assert proxy.cuts == 0
        assert proxy.requests.lower().count(b"\r\nif-match:") == 3
        proxy.cuts, proxy.cut_after_bytes = 1, 500_000
        part = [block async for block in store.read("k", 100, 3_000_000)]
        assert b"".join(part) == FULL_PART[100:3_000_000]
        assert proxy.cuts == 0


async def test_way_that_breaks_again_and_again_makes_the_store_unavailable(
    seaweedfs: Program, closing: Closing
) -> None:
    url = fresh_bucket_url(seaweedfs)
    await open_store(url).put("k", FULL_PART)
    proxy = Proxy(seaweedfs.port)
    proxy.cuts, proxy.cut_after_bytes = 1_000, 2_000
    async with server(proxy.serve) as port:
        with pytest.raises(StoreUnavailableError):
            await read_all(closing(store_at(port, urlsplit(url).path.strip("/"))), "k")


async def test_server_that_never_answers_is_given_up(seaweedfs: Program, closing: Closing) -> None:
    async def say_nothing(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        while await reader.read(65_536):
            pass

    async with server(say_nothing) as port, asyncio.timeout(60):
        store = closing(store_at(port, read_timeout_s=0.2))
        for call in (store.head("k"), store.put("k", b"x"), read_all(store, "k"), store.check()):
            with pytest.raises(StoreUnavailableError):
                await call


async def test_read_of_a_silent_server_can_be_given_up_at_once(closing: Closing) -> None:
    asked = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        while await reader.read(65_536):
            asked.set()

    async with server(say_nothing) as port, asyncio.timeout(20):
        reading = asyncio.create_task(read_all(closing(store_at(port, read_timeout_s=60)), "k"))
        await asked.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading


@pytest.mark.parametrize("start", [0, 5])
async def test_first_bytes_are_given_before_more_arrive(closing: Closing, start: int) -> None:
    answers = Answers(b"HTTP/1.1 206 Partial Content\r\ncontent-length: 900000\r\n\r\nabc")
    async with server(answers.serve) as port, asyncio.timeout(20):
        blocks = closing(store_at(port)).read("k", start, start + 900_000)
        assert await anext(blocks) == b"abc"


@pytest.mark.parametrize(
    "answer",
    [
        b"404 Not Found\r\ncontent-length: 9\r\n\r\nno ingress",
        b"200 OK\r\ncontent-length: 9\r\n\r\nfrom zero",
        b"206 Partial Content\r\ncontent-range: bytes 0-8/99\r\ncontent-length: 9\r\n\r\nfrom zero",
        b"403 Forbidden\r\ncontent-length: 14\r\n\r\n<Error>no<XML>",
        b"206 Partial Content\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nbad\r\n",
        b"206 Partial Content\r\ncontent-length: 9\r\n\r\nshort",
        b"301 Moved Permanently\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
    ],
    ids=[
        "another-server's-404",
        "range-ignored",
        "another-range",
        "no-xml",
        "bad-chunk",
        "ended-early",
        "redirect",
    ],
)
async def test_answer_that_is_no_object_store_s_makes_it_unavailable(
    closing: Closing, answer: bytes
) -> None:
    async with server(Answers(b"HTTP/1.1 " + answer).serve) as port, asyncio.timeout(30):
        blocks = closing(store_at(port, read_timeout_s=0.2)).read("k", 5)
        with pytest.raises(StoreUnavailableError):
            assert b"".join([block async for block in blocks]) == b""


async def test_range_from_the_start_ends_where_it_was_asked_to(closing: Closing) -> None:
    whole = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nthe-whole"
    async with server(Answers(whole).serve) as port:
        store = closing(store_at(port))
        assert [block async for block in store.read("k", 0, 3)] == [b"the"]


async def test_size_that_is_not_told_is_not_guessed(closing: Closing) -> None:
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    async with server(Answers(head).serve) as port:
        with pytest.raises(StoreUnavailableError, match="size"):
            await closing(store_at(port)).head("k")


async def test_way_that_breaks_after_little_makes_progress(
    seaweedfs: Program, closing: Closing
) -> None:
    url = fresh_bucket_url(seaweedfs)
    await open_store(url).put("k", FULL_PART[:1_500_000])
    proxy = Proxy(seaweedfs.port)
    proxy.cuts, proxy.cut_after_bytes = 1_000, 150_000
    async with server(proxy.serve) as port:
        store = closing(store_at(port, urlsplit(url).path.strip("/")))
        assert await read_all(store, "k") == FULL_PART[:1_500_000]


async def test_closed_store_is_not_read(closing: Closing) -> None:
    store = closing(store_at(1))
    await store.aclose()
    with pytest.raises(StoreUnavailableError, match="closed"):
        await read_all(store, "k")


async def test_reads_are_tried_again_and_left_alone_as_all_requests_are(closing: Closing) -> None:
    answers = Answers(FAILING, FAILING, FOUND + b"x", FAILING)
    async with server(answers.serve) as port:
        store = closing(store_at(port))
        assert await read_all(store, "k") == b"x"
        assert answers.asked == 3
        calls = (read_all(store, "k") for _ in range(THRESHOLD))
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(result) for result in results] == [StoreUnavailableError] * THRESHOLD
        before = answers.asked
        for call in (read_all(store, "k"), store.head("k")):
            with pytest.raises(StoreUnavailableError, match="left alone"):
                await call
        assert answers.asked == before


async def test_server_that_fails_twice_is_asked_a_third_time(closing: Closing) -> None:
    answers = Answers(FAILING, FAILING, FOUND)
    async with server(answers.serve) as port:
        assert (await closing(store_at(port)).head("k")).size_bytes == 1
    assert answers.asked == 3


async def test_failing_server_is_left_alone_for_a_while(closing: Closing) -> None:
    answers = Answers(FAILING)
    async with server(answers.serve) as port:
        store = closing(store_at(port))
        calls = (store.head("k") for _ in range(THRESHOLD))
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(result) for result in results] == [StoreUnavailableError] * THRESHOLD
        before = answers.asked
        for _ in range(100):
            with pytest.raises(StoreUnavailableError, match="left alone"):
                await store.head("k")
        assert answers.asked == before


class Punctual:
    """A server that refuses what was signed at a wrong time, by an error code of S3.

    Answers to HEAD have no body. The bucket is there, so that a write gets as far as its PUT.
    """

    def __init__(self, code: str) -> None:
        error = f"<Error><Code>{code}</Code><Message>Your clock is wrong.</Message></Error>"
        fields = f"content-type: application/xml\r\ncontent-length: {len(error)}\r\n\r\n"
        self.refuses = True
        self._head = f"HTTP/1.1 403 Forbidden\r\n{fields}".encode()
        self._error = error.encode()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", request.lower())
            await reader.readexactly(int(length[1]) if length else 0)
            if request.startswith(b"HEAD /bucket ") or not self.refuses:
                writer.write(FOUND)
            else:
                writer.write(self._head)
                writer.write(b"" if request.startswith(b"HEAD") else self._error)
            await writer.drain()


async def listed(store: ObjectStore) -> list[str]:
    return [info.key async for info in store.scan("")]


@pytest.mark.parametrize(
    "call",
    [
        lambda store: read_all(store, "k"),
        lambda store: store.put("k", b"x"),
        lambda store: store.begin_parts("k"),
        lambda store: store.delete("k"),
        listed,
    ],
    ids=["read", "put", "begin-parts", "delete", "scan"],
)
@pytest.mark.parametrize("code", ["RequestTimeTooSkewed", "AccessDenied"])
async def test_wrong_clock_is_an_outage_for_whose_it_is_until_it_is_right(
    closing: Closing, call: Callable[[ObjectStore], Coroutine[Any, Any, object]], code: str
) -> None:
    punctual = Punctual(code)
    async with server(punctual.serve) as port:
        store = closing(store_at(port))
        for _ in range(THRESHOLD):
            with pytest.raises(StoreRefusesError, match=code):
                await call(store)
            with pytest.raises(StoreRefusesError, match="403"):
                await store.head("k")
        punctual.refuses = False
        assert (await store.head("k")).size_bytes == 1, "a server that works is not left alone"
