"""Objects that are asked for before they are read, over a connection that is kept."""

import asyncio
import os
import select
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from reelay.common.storage import ObjectMissingError, StoreUnavailableError, read_all, s3_reading
from reelay.common.storage.s3 import S3ObjectStore
from reelay.common.storage.s3_answers import BrokenError

from .conftest import Run
from .scripted import FILM, OK, Answers, Serve, connected, get, rest, server

pytestmark = pytest.mark.integration

SHORT = OK + b'etag: "e"\r\ncontent-length: 3\r\n\r\nabc'
PART = b"HTTP/1.1 206 Partial Content\r\ncontent-range: bytes 1-2/3\r\ncontent-length: 2\r\n\r\nbc"
LARGE = OK + b"content-length: %d\r\n\r\n" % len(FILM) + FILM


WHY = b"<Error><Code>NoSuchKey</Code></Error>"
ABSENT = b"HTTP/1.1 404 Not Found\r\ncontent-length: %d\r\n\r\n" % len(WHY) + WHY


def ignored(_: bytes) -> None:
    """Nobody waits for the first bytes."""


@asynccontextmanager
async def reading_from(serve: Serve) -> AsyncIterator[S3ObjectStore]:
    """Give a store whose connection to a server is kept."""
    async with server(serve) as port, asyncio.timeout(60):
        store = S3ObjectStore(f"127.0.0.1:{port}", "bucket", "key", "secret")
        assert await read_all(store, "first") == b"abc"
        yield store
        await store.aclose()


def test_request_is_sent_before_it_is_read(run: Run) -> None:
    async def check() -> None:
        answers = Answers(SHORT, LARGE)
        async with reading_from(answers.serve) as store:
            store.anticipate("film", ignored)
            await answers.until_asked(2)
            assert await read_all(store, "film") == FILM
            assert answers.asked == 2

    run(check())


def test_request_is_sent_before_anything_else_is_done(run: Run) -> None:
    async def check() -> None:
        kept = asyncio.get_running_loop().create_future()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(SHORT)
            await writer.drain()
            writer.transport.pause_reading()
            kept.set_result(os.dup(writer.get_extra_info("socket").fileno()))
            await asyncio.Event().wait()

        async with reading_from(serve) as store:
            end = await kept
            store.anticipate("k", ignored)
            arrived, _, _ = select.select([end], [], [], 5)  # the loop stands still meanwhile
            os.close(end)
            assert arrived

    run(check())


def test_first_bytes_are_told_before_they_are_read(run: Run) -> None:
    async def check() -> None:
        answers = Answers(SHORT, LARGE)
        async with reading_from(answers.serve) as store:
            told = asyncio.get_running_loop().create_future()
            store.anticipate("film", told.set_result)
            first = await told
            assert first
            assert FILM.startswith(first)
            assert await read_all(store, "film") == FILM
            assert answers.asked == 2

    run(check())


@pytest.mark.parametrize("answer", [ABSENT, OK + b"content-length: 0\r\n\r\n"])
def test_what_is_no_byte_of_the_object_is_not_told(run: Run, answer: bytes) -> None:
    async def check() -> None:
        answers = Answers(SHORT, answer)
        async with reading_from(answers.serve) as store:
            told = list[bytes]()
            store.anticipate("k", told.append)
            with suppress(ObjectMissingError):
                await read_all(store, "k")
            assert answers.asked == 2
            assert told == []

    run(check())


def test_without_a_kept_connection_nothing_is_sent_before(run: Run) -> None:
    async def check() -> None:
        answers = Answers(SHORT)
        async with server(answers.serve) as port, asyncio.timeout(60):
            store = S3ObjectStore(f"127.0.0.1:{port}", "bucket", "key", "secret")
            store.anticipate("k", ignored)
            assert await read_all(store, "k") == b"abc"
            await store.aclose()
        assert answers.asked == 1

    run(check())


def test_asking_twice_is_asking_once(run: Run) -> None:
    async def check() -> None:
        answers = Answers(SHORT)
        async with reading_from(answers.serve) as store:
            store.anticipate("k", ignored)
            store.anticipate("k", ignored)
            assert await read_all(store, "k") == b"abc"
            assert answers.asked == 2

    run(check())


def test_range_is_asked_for_by_itself(run: Run) -> None:
    async def check() -> None:
        answers = Answers(SHORT, SHORT, PART)
        async with reading_from(answers.serve) as store:
            store.anticipate("k", ignored)
            await answers.until_asked(2)
            assert b"".join([block async for block in store.read("k", 1, 3)]) == b"bc"
            assert answers.asked == 3

    run(check())


def test_what_nobody_reads_is_given_up(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        answers = Answers(SHORT, LARGE, SHORT)
        async with reading_from(answers.serve) as store:
            monkeypatch.setattr(s3_reading, "UNREAD_S", 0.0)
            store.anticipate("k", ignored)
            await answers.until_asked(2)
            assert await read_all(store, "k") == b"abc"
            assert answers.asked == 3

    run(check())


def test_connection_that_the_server_closed_is_no_error(run: Run) -> None:
    async def check() -> None:
        asked = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal asked
            asked += 1
            await reader.readuntil(b"\r\n\r\n")
            writer.write(SHORT)
            await writer.drain()
            await reader.readuntil(b"\r\n\r\n")  # and goes without an answer

        async with reading_from(serve) as store:
            store.anticipate("k", ignored)
            assert await read_all(store, "k") == b"abc"
            assert asked == 2

    run(check())


def test_store_may_be_closed_with_what_was_not_read(run: Run) -> None:
    async def check() -> None:
        answers = Answers(SHORT, LARGE)
        async with reading_from(answers.serve) as store:
            store.anticipate("k", ignored)
            await answers.until_asked(2)
            await store.aclose()
            store.anticipate("k", ignored)
            with pytest.raises(StoreUnavailableError):
                await read_all(store, "k")
            await asyncio.sleep(0.05)  # what was sent all the same would have come by now
            assert answers.asked == 2

    run(check())


def test_request_that_was_begun_gives_way_when_no_turn_comes(run: Run) -> None:
    async def check() -> None:
        answers = Answers(SHORT, LARGE)
        async with connected(answers.serve, limit=1, silence_s=0.2) as connections:
            assert await get(connections) == b"abc"
            begun = connections.begin("GET", "/k")
            assert begun is not None
            async with await connections.ask("GET", "/film", {}):
                with pytest.raises(BrokenError):
                    await connections.ask("GET", "/k", {}, begun)
            with pytest.raises(BrokenError):
                await rest(begun.answer)

    run(check())
