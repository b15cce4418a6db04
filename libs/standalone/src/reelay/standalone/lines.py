"""Splits a stream of bytes into lines, however long they are."""

import asyncio
from collections.abc import AsyncIterator

MAX_LINE_BYTES = 64 * 1024


async def split_lines(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    """Yield the lines without their ends; one longer than `MAX_LINE_BYTES` comes in pieces."""
    rest = b""
    while chunk := await stream.read(MAX_LINE_BYTES):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield _text(line)
        while len(rest) >= MAX_LINE_BYTES:
            yield _text(rest[:MAX_LINE_BYTES])
            rest = rest[MAX_LINE_BYTES:]
    if rest:
        yield _text(rest)


def _text(line: bytes) -> str:
    return line.rstrip(b"\r").decode(errors="backslashreplace")
