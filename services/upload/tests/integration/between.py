"""What stands between a client and the replicas: a gateway that takes turns, and a bad line."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from reelay.common.testing.servers import Program, free_port

BLOCK = 65536


@contextmanager
def round_robin(replicas: list[Program], folder: Path) -> Iterator[Program]:
    """Run a gateway that sends each request to the next replica, past those that are gone."""
    port = free_port()
    addresses = " ".join(f"127.0.0.1:{replica.port}" for replica in replicas)
    config = folder / "Caddyfile"
    config.write_text(
        f"""{{
	admin off
	auto_https off
	servers {{
		enable_full_duplex
	}}
}}
http://127.0.0.1:{port} {{
	reverse_proxy {addresses} {{
		lb_policy round_robin
		lb_try_duration 10s
		lb_try_interval 50ms
		fail_duration 1s
		header_down X-Replica {{http.reverse_proxy.upstream.hostport}}
	}}
}}
"""
    )
    argv = [
        str(Path(sys.executable).parent / "caddy"),
        "run",
        "--adapter",
        "caddyfile",
        "--config",
        str(config),
    ]
    gateway = Program(argv, port, f"http://127.0.0.1:{port}", folder / "caddy.log")
    gateway.start()
    try:
        yield gateway
    finally:
        gateway.kill()


class BadLine:
    """Passes bytes on, and does something once when so many came from the client."""

    def __init__(self, upstream_port: int) -> None:
        self._upstream_port = upstream_port
        self._passed, self.acted = 0, False
        self._threshold: int | None = None
        self._action: Callable[[], Awaitable[None]] | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    def at(self, passed_bytes: int, action: Callable[[], Awaitable[None]]) -> None:
        """Do this once when the client has sent so many bytes from now on."""
        self._passed, self.acted = 0, False
        self._threshold, self._action = passed_bytes, action

    async def cut(self) -> None:
        """Break every connection, without a goodbye."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def start(self) -> str:
        """Listen; return the URL."""
        self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Stop listening."""
        assert self._server is not None
        self._server.close()
        await self.cut()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream = await asyncio.open_connection("127.0.0.1", self._upstream_port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, upstream[1]}
        await asyncio.gather(
            self._copy(reader, upstream[1], counted=True),
            self._copy(upstream[0], writer, counted=False),
        )
        self._writers -= {writer, upstream[1]}

    async def _copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counted: bool
    ) -> None:
        with suppress(OSError):
            while block := await reader.read(BLOCK):
                writer.write(block)
                await writer.drain()
                if counted:
                    await self._count(len(block))
        writer.close()

    async def _count(self, size_bytes: int) -> None:
        self._passed += size_bytes
        due = self._threshold is not None and self._passed >= self._threshold
        if due and not self.acted and self._action is not None:
            self.acted = True
            await self._action()
