"""A server that files are imported from, and that can do all that goes wrong with such servers."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

BLOCK = 65536


@dataclass(frozen=True)
class Asked:
    """A request that came."""

    path: str
    headers: dict[str, str]


Handler = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


def head(status: str, *fields: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *fields, "Connection: close", "", ""]).encode()


def says(status: str, *fields: str, body: bytes = b"") -> Handler:
    """Answer so, whatever is asked."""

    async def handle(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(head(status, f"Content-Length: {len(body)}", *fields) + body)

    return handle


def in_turn(*answers: Handler) -> Handler:
    """Answer each request in its own way, and all that follow as the last."""
    left = list(answers)

    async def handle(asked: Asked, writer: asyncio.StreamWriter) -> None:
        answer = left.pop(0) if len(left) > 1 else left[0]
        await answer(asked, writer)

    return handle


@dataclass
class File:
    """Answers as a server of files does."""

    data: bytes
    etag: str | None = '"first"'
    ranges: bool = True
    chunked: bool = False
    breaks: list[int] = field(default_factory=list)
    """One for each request: where in the file its connection breaks."""
    gates: dict[int, asyncio.Event] = field(default_factory=dict)
    """Where in the file the server falls silent until the gate is opened."""
    block_bytes: int = BLOCK
    block_pause_s: float = 0.0

    async def __call__(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        start, end = 0, self.breaks.pop(0) if self.breaks else len(self.data)
        fields = [f"ETag: {self.etag}"] if self.etag else []
        wanted = asked.headers.get("range", "")
        status = "200 OK"
        if self.ranges and wanted and asked.headers.get("if-range") in (None, self.etag):
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            status = "206 Partial Content"
            fields.append(f"Content-Range: bytes {start}-{len(self.data) - 1}/{len(self.data)}")
        if self.chunked:
            fields.append("Transfer-Encoding: chunked")
        else:
            fields.append(f"Content-Length: {len(self.data) - start}")
        writer.write(head(status, *fields))
        await self._send(writer, start, end)
        if self.chunked and end == len(self.data):
            writer.write(b"0\r\n\r\n")

    async def _send(self, writer: asyncio.StreamWriter, start: int, end: int) -> None:
        at = start
        while at < end:
            if at in self.gates:
                await self.gates[at].wait()
            stops = [gate for gate in self.gates if gate > at]
            block = self.data[at : min(end, at + self.block_bytes, *stops)]
            writer.write(b"%x\r\n%b\r\n" % (len(block), block) if self.chunked else block)
            await writer.drain()
            at += len(block)
            if self.block_pause_s:
                await asyncio.sleep(self.block_pause_s)


class Origin:
    """Serves what it is told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.handlers: dict[str, Handler] = {}
        self.asked: list[Asked] = []
        self.port = 0
        self.open = 0
        self.most_open = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def serve(self, path: str, handler: Handler) -> str:
        """Answer a path so from now on; return its URL."""
        self.handlers[path] = handler
        return self.url + path

    def ranges_asked(self) -> list[str | None]:
        return [asked.headers.get("range") for asked in self.asked]

    async def _on_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            asked = _parse((await reader.readuntil(b"\r\n\r\n")).decode())
            self.asked.append(asked)
            gone = asyncio.create_task(reader.read())
            answer = asyncio.create_task(self._answer(asked, writer))
            await asyncio.wait({gone, answer}, return_when=asyncio.FIRST_COMPLETED)
            for ending in (gone, answer):
                ending.cancel()
            await asyncio.gather(gone, answer, return_exceptions=True)
        self.open -= 1
        writer.close()
        self._tasks.discard(task)

    async def _answer(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        await self.handlers.get(asked.path, says("404 Not Found"))(asked, writer)
        await writer.drain()

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def listen(self, tls: ssl.SSLContext | None = None) -> asyncio.Server:
        server = await asyncio.start_server(self._on_connection, "127.0.0.1", 0, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        return server


@asynccontextmanager
async def running_origin() -> AsyncIterator[Origin]:
    origin = Origin()
    server = await origin.listen()
    try:
        yield origin
    finally:
        server.close()
        await origin.stop()


def _parse(text: str) -> Asked:
    first, *lines = text.rstrip("\r\n").split("\r\n")
    fields = [line.partition(":") for line in lines]
    return Asked(first.split(" ")[1], {name.lower(): text.strip() for name, _, text in fields})
