"""What is answered again without a look, and for how long."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from errno import EAGAIN, EOPNOTSUPP
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from reelay.content_api.domain.names import ContentName
from reelay.content_api.domain.ports import StoredFile
from reelay.content_api.entrypoints.recent import (
    KEEP_S,
    MAX_ANSWERS,
    MAX_CONTENT_BYTES,
    RecentAnswers,
)
from reelay.content_api.entrypoints.streams import SHARE, Streams

from ..streaming import FakeTransport

PACKAGE = "ab" * 32
NAME = ContentName(PACKAGE, "master.m3u8")
PATH = f"/api/v1/content/{PACKAGE}/master.m3u8"


@dataclass
class Scope:
    path: str = PATH
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)


class Proto:
    """Notes what it was told to send."""

    def __init__(self) -> None:
        self.sent: list[object] = []

    def response_bytes(self, status: int, headers: object, body: bytes) -> None:
        self.sent.append((status, body))

    def response_stream(self, status: int, headers: object) -> FakeTransport:
        transport = FakeTransport()
        self.sent.append((status, transport.content))
        return transport

    def response_file(self, status: int, headers: object, file: str) -> None:
        self.sent.append((status, file))


class World:
    """A clock, and the packages that are open."""

    def __init__(self, folder: Path, max_bytes: int = SHARE * MAX_CONTENT_BYTES) -> None:
        self.path = folder / "master.m3u8"
        self.path.write_bytes(b"#EXTM3U")
        self.file = StoredFile(str(self.path), 7, b"#EXTM3U")
        self.now_s = 1000.0
        self.open = {PACKAGE}
        self.at_hand: dict[str, StoredFile] = {}
        self.calls: list[Callable[[], object]] = []
        self.recent = RecentAnswers(
            self.open.__contains__,
            lambda name: self.at_hand.get(name.path),
            Streams(max_bytes),
            lambda *call: self.calls.append(partial(*call)),
            now=lambda: self.now_s,
        )

    def ask(self, scope: Scope | None = None) -> list[object]:
        proto = Proto()
        answered = self.recent.answer(scope or Scope(), proto)  # type: ignore[arg-type]
        assert answered == bool(proto.sent)
        return proto.sent


def test_a_moment_later_the_same_object_is_sent_while_it_is_looked_up_once(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    world.at_hand[NAME.path] = world.file
    assert world.ask() == []
    world.recent.note(PATH, NAME, world.file)
    assert world.ask() == [(200, b"#EXTM3U")]
    world.now_s += KEEP_S
    assert world.ask() == [(200, b"#EXTM3U")]
    assert not world.calls
    for pause_s in (0.5 * KEEP_S, 1.5 * KEEP_S, 1.9 * KEEP_S):
        world.now_s += pause_s
        assert world.ask() == world.ask() == [(200, b"#EXTM3U")]
        world.calls.pop()()
        assert not world.calls
    world.now_s += 2.1 * KEEP_S
    assert world.ask() == []


def test_object_that_is_not_at_hand_any_more_is_soon_sent_no_more(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.recent.note(PATH, NAME, world.file)
    world.now_s += 1.5 * KEEP_S
    assert world.ask() == [(200, b"#EXTM3U")]
    world.calls.pop()()
    world.now_s += KEEP_S
    assert world.ask() == []
    assert not world.calls


def test_bytes_are_read_once_as_long_as_somebody_asks_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, reads = os.preadv, []

    def preadv(*call: Any) -> int:
        size = read(*call)  # raises first on file systems that cannot tell what is in memory
        reads.append(size)
        return size

    monkeypatch.setattr(os, "preadv", preadv)
    world = World(tmp_path)
    file = world.at_hand[NAME.path] = StoredFile(str(world.path), 7)
    world.recent.note(PATH, NAME, file)
    for _ in range(4):
        assert world.ask() == [(200, bytearray(b"#EXTM3U"))]
        world.now_s += 1.1 * KEEP_S
        world.ask()
        world.calls.pop()()
    first = len(reads)
    for _ in range(2):  # Nobody asks for these bytes in the next two moments.
        world.now_s += 1.1 * KEEP_S
        world.recent.note(PATH + "x", NAME, world.file)
    world.recent.note(PATH, NAME, file)
    assert world.ask() == [(200, bytearray(b"#EXTM3U"))]
    assert (first, len(reads)) == (1, 2)


def test_object_that_is_asked_for_again_is_sent_from_memory(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.recent.note(PATH, NAME, StoredFile(str(world.path), 7))
    assert world.ask() == [(200, bytearray(b"#EXTM3U"))]


@pytest.mark.parametrize(("error", "from_memory"), [(EOPNOTSUPP, True), (EAGAIN, False)])
def test_file_system_that_cannot_tell_what_is_in_memory_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int, from_memory: bool
) -> None:
    read = os.preadv

    def preadv(file: int, buffers: list[bytearray], offset: int, flags: int = 0) -> int:
        if flags & os.RWF_NOWAIT:
            raise OSError(error, os.strerror(error))
        return read(file, buffers, offset)

    monkeypatch.setattr(os, "preadv", preadv)
    world = World(tmp_path)
    world.recent.note(PATH, NAME, StoredFile(str(world.path), 7))
    assert world.ask() == [(200, bytearray(b"#EXTM3U") if from_memory else str(world.path))]


def test_object_that_memory_is_too_short_for_is_sent_from_its_file(tmp_path: Path) -> None:
    world = World(tmp_path, max_bytes=SHARE * 7 - 1)
    world.recent.note(PATH, NAME, StoredFile(str(world.path), 7))
    assert world.ask() == [(200, str(world.path))]


def test_of_many_objects_only_some_are_kept_in_memory(tmp_path: Path) -> None:
    world = World(tmp_path)
    size = MAX_CONTENT_BYTES // 2 - 1
    for number in range(3):
        file = tmp_path / str(number)
        file.write_bytes(bytes(size))
        world.recent.note(f"{PATH}{number}", NAME, StoredFile(str(file), size))
    sent = [world.ask(Scope(f"{PATH}{number}"))[0] for number in (0, 1, 2, 0)]
    streamed = (200, bytearray(size))
    assert sent == [streamed, streamed, (200, str(tmp_path / "2")), streamed]


@pytest.mark.parametrize("content", [None, b"#EXTM3U"], ids=["file", "memory"])
def test_file_that_went_or_was_replaced_is_sent_no_more(
    tmp_path: Path, content: bytes | None
) -> None:
    world = World(tmp_path)
    world.recent.note(PATH, NAME, StoredFile(str(world.path), 7, content))
    other = tmp_path / "other"
    other.write_bytes(b"another")
    other.rename(world.path)
    assert world.ask() == []
    world.path.unlink()
    assert world.ask() == []
    world.recent.note(PATH, NAME, StoredFile(str(world.path), 7, content))
    assert world.ask() == []


def test_another_file_under_the_same_name_is_sent_with_its_own_bytes(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.recent.note(PATH, NAME, StoredFile(str(world.path), 7))
    assert world.ask() == [(200, bytearray(b"#EXTM3U"))]
    other = tmp_path / "other"
    other.write_bytes(b"longer than before")
    other.rename(world.path)
    world.recent.note(PATH, NAME, StoredFile(str(world.path), 18))
    assert world.ask() == [(200, bytearray(b"longer than before"))]


def test_object_beyond_its_share_is_not_even_read(tmp_path: Path) -> None:
    world = World(tmp_path, max_bytes=SHARE * 8)
    file = tmp_path / "large"
    file.write_bytes(b"9 bytes..")
    world.recent.note(PATH, NAME, StoredFile(str(file), 9))
    assert world.ask() == [(200, str(file))]


def test_package_that_was_closed_is_answered_no_more(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.recent.note(PATH, NAME, world.file)
    world.open.clear()
    assert world.ask() == []


@pytest.mark.parametrize(
    "scope",
    [
        Scope(method="HEAD"),
        Scope(headers={"range": "bytes=0-1"}),
        Scope(headers={"if-none-match": NAME.etag}),
        Scope(headers={"if-match": NAME.etag}),
        Scope(path=PATH + "x"),
    ],
)
def test_what_asks_for_something_else_than_the_whole_object_is_left_to_others(
    tmp_path: Path, scope: Scope
) -> None:
    world = World(tmp_path)
    world.recent.note(PATH, NAME, world.file)
    assert world.ask(scope) == []


def test_a_crawler_takes_no_more_memory_than_a_few_thousand_names(tmp_path: Path) -> None:
    world = World(tmp_path)
    for number in range(3 * MAX_ANSWERS):
        world.recent.note(f"{PATH}{number}", NAME, world.file)
    answered = sum(bool(world.ask(Scope(f"{PATH}{n}"))) for n in range(3 * MAX_ANSWERS))
    assert 0 < answered <= MAX_ANSWERS
