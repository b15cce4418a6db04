"""Server-sent events, cut anywhere."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from reelay.cli.sse import EventParser, ServerEvent

STREAM = (
    b"\xef\xbb\xbfevent: video\r\ndata: one\r\ndata: \xc3\xa4\xe2\x82\xac\r\nid: 7\r\n\r\n"
    b": keep-alive\n\n"
    b"data:two\rdata\r\r"
    b"retry: 3\nunknown: x\n\n"
    b"event: only-a-name\n\n"
    b"data: three\n\ndata: never finished"
)
EVENTS = [
    ServerEvent("video", "one\nä€", "7"),
    ServerEvent("message", "two\n", "7"),
    ServerEvent("message", "three", "7"),
]


def parse(*chunks: bytes) -> list[ServerEvent]:
    parser = EventParser()
    return [event for chunk in chunks for event in parser.feed(chunk)]


def test_whole_stream_gives_its_finished_events() -> None:
    assert parse(STREAM) == EVENTS


def test_single_bytes_give_the_same_events() -> None:
    assert parse(*(STREAM[i : i + 1] for i in range(len(STREAM)))) == EVENTS


@given(st.sets(st.integers(0, len(STREAM)), max_size=12))
def test_cuts_anywhere_change_nothing(cuts: set[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    chunks = [STREAM[a:b] for a, b in itertools.pairwise(edges)]
    assert parse(*chunks) == EVENTS


def test_keep_alive_comments_are_no_events() -> None:
    assert parse(b": ping\n\n" * 3) == []
