"""How much answers from memory may hold, and when that is free again."""

from collections.abc import Callable
from pathlib import Path

import pytest

from reelay.common.storage import StoreUnavailableError
from reelay.content_api.domain.bodies import partial, whole
from reelay.content_api.domain.ranges import ByteRange
from reelay.content_api.entrypoints.streams import (
    ASK_AGAIN_S,
    QUESTION_BYTES,
    SHARE,
    STEP_BYTES,
    Stream,
    Streams,
)

from ..streaming import FakeTransport

MAX_BYTES = 1000 * SHARE


class Proto:
    """Notes its streams."""

    def __init__(self) -> None:
        self.transports: list[FakeTransport] = []

    def response_stream(self, status: int, headers: object) -> FakeTransport:
        self.transports.append(FakeTransport())
        return self.transports[-1]


class Film:
    """A file of which the first `arrived_bytes` are there; then all, or an outage."""

    def __init__(self, path: Path, content: bytes, arrived_bytes: int, *, ends: bool) -> None:
        path.write_bytes(content)
        self.path = str(path)
        self.size_bytes = len(content)
        self.beginning = b""
        self._arrived_bytes = arrived_bytes
        self._ends = ends
        self.on_wait: Callable[[], None] = lambda: None

    async def arrived(self, position: int) -> int:
        if position < self._arrived_bytes:
            return self._arrived_bytes
        self.on_wait()
        if self._ends:
            return self.size_bytes
        raise StoreUnavailableError("gone")

    async def whole(self) -> None:
        raise AssertionError("a stream never waits for the whole")


def open_stream(streams: Streams, proto: Proto, size_bytes: int) -> Stream | None:
    return streams.open(proto, 200, [], size_bytes)  # type: ignore[arg-type]


def test_memory_is_free_again_when_nothing_more_of_an_answer_is_wanted() -> None:
    now_s = [0.0]
    streams, proto = Streams(MAX_BYTES, now=lambda: now_s[0]), Proto()
    assert all(open_stream(streams, proto, 1000) for _ in range(SHARE))
    assert open_stream(streams, proto, 1) is None
    assert len(proto.transports) == SHARE
    proto.transports[2].closed = True
    assert open_stream(streams, proto, 500) is None, "too soon to ask"
    now_s[0] += ASK_AGAIN_S
    left = 1000 - (SHARE - 1) * QUESTION_BYTES
    assert open_stream(streams, proto, left + 1) is None
    assert open_stream(streams, proto, left)
    assert open_stream(streams, proto, 1) is None


def test_reader_who_takes_nothing_is_asked_rarely_and_pays_for_it() -> None:
    now_s = [0.0]
    streams, proto = Streams(10_000 * SHARE, now=lambda: now_s[0]), Proto()
    stuck = [open_stream(streams, proto, 10_000) for _ in range(SHARE)]
    for _ in range(10_000):
        now_s[0] += 0.01
        assert open_stream(streams, proto, 10_000) is None
    questions = [transport.messages for transport in proto.transports]
    assert max(questions) < 60
    assert [s.held_bytes for s in stuck if s] == [10_000 + n * QUESTION_BYTES for n in questions]


def test_no_answer_has_more_than_its_share() -> None:
    proto = Proto()
    assert open_stream(Streams(MAX_BYTES), proto, 1001) is None
    assert proto.transports == []


async def test_body_is_sent_as_it_arrives(tmp_path: Path) -> None:
    content = bytes(range(256)) * (STEP_BYTES // 100)
    film = Film(tmp_path / "film", content, 1000, ends=True)
    transport = FakeTransport()
    seen: list[bytes] = []
    film.on_wait = lambda: seen.append(bytes(transport.content))
    await Stream(transport, len(content), 0.0).feed(whole("video/mp4", len(content)), film)
    assert seen[0] == content[:1000]
    assert transport.content == content


async def test_first_bytes_are_sent_from_memory(tmp_path: Path) -> None:
    content = bytes(range(200)) * 10
    film = Film(tmp_path / "film", content, 1000, ends=True)
    film.beginning = content[:1000]
    for part, unread in (
        (ByteRange(0, 2000), False),
        (ByteRange(999, 1001), False),
        (ByteRange(1500, 1600), False),
        (ByteRange(3, 1000), True),
    ):
        if unread:
            Path(film.path).unlink()  # noqa: ASYNC240
        transport = FakeTransport()
        body = partial("video/mp4", 2000, [part])
        await Stream(transport, body.length, 0.0).feed(body, film)
        assert transport.content == content[part.start : part.end]


async def test_parts_and_the_heads_between_them_are_sent(tmp_path: Path) -> None:
    film = Film(tmp_path / "film", bytes(range(200)), 200, ends=True)
    transport = FakeTransport()
    body = partial("video/mp4", 200, [ByteRange(1, 3), ByteRange(100, 110)])
    await Stream(transport, body.length, 0.0).feed(body, film)
    assert len(transport.content) == body.length
    assert bytes([1, 2]) + b"\r\n--" in transport.content
    assert bytes(range(100, 110)) + b"\r\n--" in transport.content


@pytest.mark.parametrize("why", ["outage", "reader left"])
async def test_what_cannot_be_sent_to_its_end_is_dropped(tmp_path: Path, why: str) -> None:
    content = bytes(3000)
    film = Film(tmp_path / "film", content, 1000, ends=why != "outage")
    transport = FakeTransport()
    if why == "reader left":
        film.on_wait = lambda: setattr(transport, "closed", True)
    await Stream(transport, len(content), 0.0).feed(whole("video/mp4", len(content)), film)
    assert len(transport.content) == 1000
