import asyncio

from reelay.standalone.lines import MAX_LINE_BYTES, split_lines


async def lines_of(data: bytes) -> list[str]:
    stream = asyncio.StreamReader()
    stream.feed_data(data)
    stream.feed_eof()
    return [line async for line in split_lines(stream)]


async def test_lines_end_at_newlines_and_at_the_end() -> None:
    assert await lines_of(b"one\r\n\ntwo") == ["one", "", "two"]


async def test_a_line_without_end_comes_in_pieces() -> None:
    pieces = await lines_of(b"x" * (3 * MAX_LINE_BYTES + 5))
    assert [len(piece) for piece in pieces] == [MAX_LINE_BYTES] * 3 + [5]


async def test_bytes_that_are_not_utf8_are_escaped() -> None:
    assert await lines_of(b"\xff\n") == ["\\xff"]
