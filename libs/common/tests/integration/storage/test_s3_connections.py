"""The client of an S3 server's HTTP, on both event loops: what it keeps and takes for an end."""

import asyncio

import pytest

from reelay.common.storage.s3_answers import BrokenError
from reelay.common.storage.s3_connections import STEP_BYTES, Connections

from .conftest import Run
from .scripted import FILM, OK, Answers, connected, get, rest

pytestmark = pytest.mark.integration

SHORT = OK + b"content-length: 3\r\n\r\nabc"


class Counted:
    """Counts connections, and answers each by `answers` anew."""

    def __init__(self, *answers: bytes, then_close: bool = False) -> None:
        self.made = 0
        self._answers = answers
        self._then_close = then_close

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.made += 1
        for answer in self._answers:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
        if not self._then_close:
            await reader.read()


@pytest.mark.parametrize(
    "answer",
    [
        SHORT,
        OK + b"transfer-encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\nx: trailer\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nlink: <x>\r\ncontent-length: 9\r\n\r\n" + SHORT,
    ],
    ids=["length", "chunks", "interim"],
)
def test_connection_is_kept_for_the_next_request(run: Run, answer: bytes) -> None:
    async def check() -> None:
        counted = Counted(*[answer] * 3)
        async with connected(counted.serve) as connections:
            assert [await get(connections) for _ in range(3)] == [b"abc"] * 3
        assert counted.made == 1

    run(check())


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"connection: close\r\ncontent-length: 3\r\n\r\nabc",
        b"HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nabc",
        SHORT + b"unasked",
        SHORT + SHORT.replace(b"abc", b"bad"),
    ],
    ids=["close", "http-1.0", "excess", "second-answer"],
)
def test_connection_that_cannot_be_trusted_is_not_kept(run: Run, answer: bytes) -> None:
    async def check() -> None:
        counted = Counted(answer)
        async with connected(counted.serve) as connections:
            assert [await get(connections) for _ in range(3)] == [b"abc"] * 3
        assert counted.made == 3

    run(check())


def test_only_an_error_s_text_may_end_with_the_connection(run: Run) -> None:
    async def check() -> None:
        refusal = Counted(b"HTTP/1.1 404 Not Found\r\n\r\nabc", then_close=True)
        async with connected(refusal.serve) as connections:
            assert await get(connections) == b"abc"
        film = Counted(OK + b"\r\nabc", then_close=True)
        async with connected(film.serve) as connections:
            with pytest.raises(BrokenError):
                await get(connections)

    run(check())


def test_head_has_fields_and_no_body(run: Run) -> None:
    async def check() -> None:
        head = OK + b'Content-Length: 12345\r\nETag: "x"\r\n\r\n'
        counted = Counted(head, head)
        async with connected(counted.serve) as connections:
            for _ in range(2):
                async with await connections.ask("HEAD", "/k", {}) as answer:
                    assert answer.fields == {"content-length": "12345", "etag": '"x"'}
                    assert await rest(answer) == b""
        assert counted.made == 1

    run(check())


def test_connection_that_the_server_closed_meanwhile_is_replaced(run: Run) -> None:
    async def check() -> None:
        counted = Counted(SHORT, then_close=True)
        async with connected(counted.serve) as connections:
            for _ in range(5):
                assert await get(connections) == b"abc"
        assert counted.made == 5

    run(check())


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        (b"", None),
        (b"220 mail.example ESMTP\r\n", None),
        (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", None),
        (b"HTTP/1.1 200 OK\r\n" + b"x: %s\r\n" % (b"y" * 200_000), None),
        (OK + b"x: %s\r\n\r\n" % (b"y" * 200_000), None),
        (OK + b"content-length: 9\r\n\r\nshort", b"short"),
        (OK + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\nbad\r\n", b"abc"),
    ],
    ids=[
        "nothing",
        "no-http",
        "upgrade",
        "endless-fields",
        "too-many-fields",
        "ended-early",
        "bad-chunk",
    ],
)
def test_broken_answer_is_an_error_after_what_came_of_it(
    run: Run, answer: bytes, read: bytes | None
) -> None:
    async def check() -> None:
        async with connected(Counted(answer, then_close=True).serve) as connections:
            if read is None:
                with pytest.raises(BrokenError):
                    await connections.ask("GET", "/k", {})
                return
            async with await connections.ask("GET", "/k", {}) as broken:
                assert await broken.read(STEP_BYTES) == read
                with pytest.raises(BrokenError):
                    await broken.read(STEP_BYTES)

    run(check())


@pytest.mark.parametrize("answer", [b"", OK + b"content-length: 9\r\n\r\n"], ids=["head", "body"])
def test_silence_ends_in_an_error(run: Run, answer: bytes) -> None:
    async def check() -> None:
        async with connected(Counted(answer).serve, silence_s=0.2) as connections:
            with pytest.raises(BrokenError, match="silent"):
                await get(connections)

    run(check())


def test_silence_on_a_kept_connection_is_not_taken_for_its_end(run: Run) -> None:
    async def check() -> None:
        counted = Counted(SHORT, b"")
        async with connected(counted.serve, silence_s=0.2) as connections:
            assert await get(connections) == b"abc"
            with pytest.raises(BrokenError, match="silent"):
                await get(connections)
        assert counted.made == 1

    run(check())


def test_what_is_not_read_stays_at_the_server(run: Run) -> None:
    async def check() -> None:
        sent = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK + b"content-length: %d\r\n\r\n" % (len(FILM) * 64))
            for _ in range(64):
                writer.write(FILM)
                await writer.drain()
                sent += len(FILM)

        async with connected(serve) as connections:
            async with await connections.ask("GET", "/k", {}) as answer:
                assert await answer.read(1000) == FILM[:1000]
                before = -1
                while sent != before:  # until nothing moves any more
                    before = sent
                    await asyncio.sleep(0.3)
                assert sent < len(FILM) * 48
                assert len(await rest(answer)) == len(FILM) * 64 - 1000
            assert sent == len(FILM) * 64

    run(check())


def test_large_answer_arrives_as_it_was_sent(run: Run) -> None:
    async def check() -> None:
        large = OK + b"content-length: %d\r\n\r\n" % len(FILM) + FILM
        async with connected(Answers(large).serve) as connections:
            both = await asyncio.gather(get(connections), get(connections))
            assert both == [FILM, FILM]

    run(check())


def test_answers_under_way_are_limited_and_given_up_ones_make_room(run: Run) -> None:
    async def check() -> None:
        begun = OK + b"content-length: 9\r\n\r\nabc"
        counted = Counted(begun)
        async with connected(counted.serve, limit=2) as connections:
            one, two = [await connections.ask("GET", "/k", {}) for _ in range(2)]
            third = asyncio.create_task(connections.ask("GET", "/k", {}))
            done, _ = await asyncio.wait({third}, timeout=0.3)
            assert not done
            assert counted.made == 2
            one.close()
            async with await third as answer:
                assert await answer.read(9) == b"abc"
            two.close()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await get(connections)
            for _ in range(3):
                (await connections.ask("GET", "/k", {})).close()

    run(check())


def test_nobody_there_is_an_error(run: Run) -> None:
    async def check() -> None:
        connections = Connections(
            "127.0.0.1:1", tls=False, limit=1, connect_timeout_s=5, silence_s=5
        )
        for _ in range(3):
            with pytest.raises(BrokenError, match="no connection"):
                await connections.ask("GET", "/k", {})

    run(check())


def test_closing_ends_what_is_under_way(run: Run) -> None:
    async def check() -> None:
        async with connected(Counted(b"").serve) as connections:
            asking = asyncio.create_task(connections.ask("GET", "/k", {}))
            await asyncio.sleep(0.1)
            connections.close()
            with pytest.raises(BrokenError):
                await asking
            with pytest.raises(BrokenError, match="closed"):
                await connections.ask("GET", "/k", {})

    run(check())


def test_closing_sends_those_away_who_wait_for_their_turn(run: Run) -> None:
    async def check() -> None:
        counted = Counted(OK + b"content-length: 9\r\n\r\nabc")
        async with connected(counted.serve, limit=1) as connections:
            await connections.ask("GET", "/k", {})
            waiting = asyncio.create_task(connections.ask("GET", "/k", {}))
            await asyncio.sleep(0.1)
            connections.close()
            with pytest.raises(BrokenError, match="closed"):
                await waiting
        assert counted.made == 1

    run(check())


def test_name_with_a_dead_address_is_reached_by_another(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check() -> None:
        async with connected(Counted(SHORT).serve) as connections:

            async def addresses() -> list[str]:
                return ["127.0.0.9", "127.0.0.1"]

            monkeypatch.setattr(connections, "_addresses", addresses)
            assert await get(connections) == b"abc"

    run(check())
