"""A gate in front of an S3 server: counts requests, and lets bytes through when told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class _Connection:
    sent: int = 0
    """Bytes of the answer to the latest request."""


@dataclass
class Gate:
    """Forwards TCP connections; `open` lets bodies through beyond the first bytes."""

    target_port: int
    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    allowed_bytes: int = 600_000
    breaks_off: bool = False
    """Whether the next connection ends at `allowed_bytes`."""
    stays_down: bool = False
    """Whether none is taken, or serves another request, from then on."""
    _down_now: bool = False

    def gets(self, path: str) -> int:
        """Return how many GET requests there were for a path with this end."""
        return sum(
            line.startswith(b"GET ") and line.split(b" ")[1].split(b"?")[0].endswith(path.encode())
            for line in self.requests
        )

    def repair(self) -> None:
        """Take connections again."""
        self._down_now = False

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one connection."""
        if self._down_now:
            writer.close()
            return
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        connection = _Connection()
        up = asyncio.create_task(self._up(connection, reader, server_writer))
        try:
            await self._down(connection, server_reader, writer)
        finally:
            up.cancel()
            writer.close()
            server_writer.close()

    async def _up(
        self,
        connection: "_Connection",
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        while (block := await reader.read(65536)) and not self._down_now:
            connection.sent = 0
            self.requests += [line for line in block.split(b"\r\n") if line.endswith(b" HTTP/1.1")]
            writer.write(block)
            await writer.drain()
        writer.close()

    async def _down(
        self,
        connection: "_Connection",
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        while block := await reader.read(4096):
            if connection.sent > self.allowed_bytes:
                await self.open.wait()
                if self.breaks_off:
                    self.breaks_off, self._down_now = False, self.stays_down
                    return
            connection.sent += len(block)
            writer.write(block)
            await writer.drain()


@asynccontextmanager
async def gate_before(port: int) -> AsyncIterator[Gate]:
    """Run a gate before a server on loopback."""
    gate = Gate(port)
    server = await asyncio.start_server(gate.connected, "127.0.0.1", 0)
    gate.port = server.sockets[0].getsockname()[1]
    try:
        yield gate
    finally:
        gate.open.set()
        server.close()
