"""A pipe that a child writes its log to, and the lines that come out of it."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

MAX_LINE_BYTES = 64 * 1024


@asynccontextmanager
async def log_pipe() -> AsyncIterator[tuple[asyncio.StreamReader, int]]:
    """Open a pipe: the stream to read, and the descriptor to write, which the caller closes.

    asyncio's own pipes would hide the end of a child for as long as something that it started
    still holds them.
    """
    reading, writing = os.pipe()
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb", 0)
    )
    try:
        yield reader, writing
    finally:
        transport.close()


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
