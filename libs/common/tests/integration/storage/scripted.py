"""Servers that say what a test tells them to, and the client that hears it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from reelay.common.storage.s3_answers import Answer
from reelay.common.storage.s3_connections import STEP_BYTES, Connections

OK = b"HTTP/1.1 200 OK\r\n"
FILM = bytes(range(256)) * 8192
"""2 MiB."""

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(serve: Serve) -> AsyncIterator[int]:
    """Listen; give the port."""
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            # A cancelled handler would be reported as an error of the server's.
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await serve(reader, writer)
        finally:
            writer.close()

    listener = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Answers:
    """Answers requests one after the other so, and all that follow as the last."""

    def __init__(self, *answers: bytes) -> None:
        self.asked = 0
        self._answers = answers
        self._news = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            self.asked += 1
            self._news.set()
            writer.write(self._answers[min(self.asked, len(self._answers)) - 1])
            await writer.drain()

    async def until_asked(self, times: int) -> None:
        """Return when so many requests have come."""
        while self.asked < times:
            self._news.clear()
            await self._news.wait()


@asynccontextmanager
async def connected(
    serve: Serve, *, limit: int = 4, silence_s: float = 20
) -> AsyncIterator[Connections]:
    """Give connections to a server."""
    async with server(serve) as port, asyncio.timeout(60):
        connections = Connections(
            f"127.0.0.1:{port}", tls=False, limit=limit, connect_timeout_s=5, silence_s=silence_s
        )
        yield connections
        connections.close()
        await asyncio.sleep(0)


async def get(connections: Connections, method: str = "GET") -> bytes:
    async with await connections.ask(method, "/k", {}) as answer:
        return await rest(answer)


async def rest(answer: Answer) -> bytes:
    blocks = []
    while block := await answer.read(STEP_BYTES):
        blocks.append(block)
    return b"".join(blocks)
