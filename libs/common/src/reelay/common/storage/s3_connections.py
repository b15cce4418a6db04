"""Asks one HTTP/1.1 server (RFC 9112) on the event loop, with nothing between it and a reader.

A request is written in the step that asks for it, and wakes nobody but who reads its answer.
"""

import asyncio
import os
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

from reelay.common.storage.s3_answers import Answer, BrokenError

FIRST_BYTES = 32 * 1024
"""What is taken of a connection while an answer begins: somebody waits, and copying takes time."""
STEP_BYTES = 256 * 1024
"""What is taken at a time later."""
KEPT_S = 60.0
"""How long a connection that nobody uses is kept."""


class _Connection(asyncio.BufferedProtocol):
    """One connection, and the answer that it brings."""

    def __init__(self, pool: "Connections") -> None:
        self.closed = False
        self.left = False
        """Whether the server closed it, or it broke, while it might still have been used."""
        self.idle_since = 0.0
        self._pool = pool
        self._transport: asyncio.Transport | None = None
        self._answer: Answer | None = None
        self._paused = False

    def ask(self, method: str, request: bytes, silence_s: float) -> Answer:
        """Send a request; return its answer, of which nothing can come in this step."""
        assert self._transport is not None
        self._transport.write(request)  # before all else
        os.sched_yield()  # A store on this machine, woken where this runs, would wait for it.
        self._answer = Answer(method, silence_s)
        self._answer.begin(self)
        return self._answer

    def pause(self) -> None:
        """See Carrier."""
        if not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """See Carrier."""
        if self._paused and self._transport is not None and not self.closed:
            self._paused = False
            self._transport.resume_reading()

    def done(self, *, keep: bool) -> None:
        """See Carrier."""
        self._answer = None
        self.resume()
        if keep and not self.closed:
            self._pool.take_back(self)
        else:
            self.abort()

    def abort(self) -> None:
        """See Carrier. Not in this step, which may be one of the transport's own."""
        if not self.closed and self._transport is not None:
            asyncio.get_running_loop().call_soon(self._transport.abort)
        self.closed = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one by its methods only

    def get_buffer(self, sizehint: int) -> memoryview:
        """See asyncio.BufferedProtocol. Its content is used up before anybody else needs it."""
        begins = self._answer is None or not self._answer.headed
        return self._pool.room[:FIRST_BYTES] if begins else self._pool.room

    def buffer_updated(self, nbytes: int) -> None:
        """See asyncio.BufferedProtocol."""
        if self._answer is None:  # nobody asked: what comes next could be anything
            self.abort()
        else:
            self._answer.feed(self._pool.room[:nbytes])

    def connection_lost(self, error: Exception | None) -> None:
        """See asyncio.Protocol."""
        self.left = not self.closed
        self.closed = True
        self._pool.lost(self)
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.lost(error)


@dataclass(frozen=True)
class Exchange:
    """A request that was sent, and its answer."""

    answer: Answer
    _connection: _Connection
    _kept: bool

    @property
    def stale(self) -> bool:
        """Whether the server had closed the connection before it saw the request."""
        return self._kept and self._connection.left and not self.answer.heard


class Connections:
    """Connections to one server, kept for the next request. They belong to one event loop."""

    def __init__(
        self, endpoint: str, *, tls: bool, limit: int, connect_timeout_s: float, silence_s: float
    ) -> None:
        """`endpoint` is `host` or `host:port`; `limit` how many answers may be under way."""
        place = urlsplit(f"//{endpoint}")
        self._host, self._port = place.hostname or "", place.port or (443 if tls else 80)
        self._tls = ssl.create_default_context() if tls else None
        self._always = f"Host: {endpoint}\r\nAccept-Encoding: identity\r\n"
        self._connect_timeout_s = connect_timeout_s
        self._silence_s = silence_s
        self._slots = asyncio.Semaphore(limit)
        self._closed = False
        self._open: set[_Connection] = set()
        self._idle: list[_Connection] = []
        self.room = memoryview(bytearray(STEP_BYTES))
        """Where bytes of any connection lie between the kernel and the parser, which copies."""

    async def ask(
        self,
        method: str,
        target: str,
        fields: Mapping[str, str],
        begun: Exchange | None = None,
    ) -> Answer:
        """Send a request without a body; return its answer, whose body is still to be read.

        `begun` is the same request, sent before. Raises BrokenError. A kept connection that the
        server has closed meanwhile is no error.
        """
        try:
            await self._turn()
        except BaseException:
            if begun:
                begun.answer.close()
            raise
        try:
            answer = await self._answered(method, self._request(method, target, fields), begun)
        except BaseException:
            self._slots.release()
            raise
        answer.when_ended(self._slots.release)
        return answer

    def begin(self, method: str, target: str) -> Exchange | None:
        """Send a request over a kept connection in this step; return None if there is none.

        To be gone on with by `ask`, or its answer to be closed.
        """
        connection = None if self._slots.locked() else self._kept()
        if connection is None:
            return None
        return self._sent(method, self._request(method, target, {}), connection, kept=True)

    def close(self) -> None:
        """End all connections, and the answers under way with them; there will be no others."""
        self._closed = True
        for connection in list(self._open):
            connection.abort()
        self._idle.clear()

    def take_back(self, connection: _Connection) -> None:
        """Keep a connection for the next request, and give up those that waited too long."""
        now_s = time.monotonic()
        connection.idle_since = now_s
        self._idle.append(connection)
        while now_s - self._idle[0].idle_since > KEPT_S:
            self._idle.pop(0).abort()

    def lost(self, connection: _Connection) -> None:
        """Forget a connection that ended."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def _request(self, method: str, target: str, fields: Mapping[str, str]) -> bytes:
        more = "".join([f"{name}: {text}\r\n" for name, text in fields.items()])
        return f"{method} {target} HTTP/1.1\r\n{self._always}{more}\r\n".encode("latin-1")

    async def _turn(self) -> None:
        if not self._slots.locked():
            await self._slots.acquire()
            return
        try:
            async with asyncio.timeout(self._silence_s):
                await self._slots.acquire()
        except TimeoutError as error:
            raise BrokenError("too many answers are under way") from error

    async def _answered(self, method: str, request: bytes, begun: Exchange | None) -> Answer:
        while True:
            exchange, begun = begun or await self._exchange(method, request), None
            try:
                await exchange.answer.head()
            except BrokenError:
                stale = exchange.stale
                exchange.answer.close()
                if not stale:
                    raise
            except BaseException:
                exchange.answer.close()
                raise
            else:
                return exchange.answer

    async def _exchange(self, method: str, request: bytes) -> Exchange:
        if connection := self._kept():
            return self._sent(method, request, connection, kept=True)
        return self._sent(method, request, await self._connect(), kept=False)

    def _sent(
        self, method: str, request: bytes, connection: _Connection, *, kept: bool
    ) -> Exchange:
        answer = connection.ask(method, request, self._silence_s)
        return Exchange(answer, connection, kept)

    def _kept(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed and time.monotonic() - connection.idle_since < KEPT_S:
                return connection
            connection.abort()
        return None

    async def _connect(self) -> _Connection:
        if self._closed:
            raise BrokenError("closed")
        reason: Exception | None = None
        try:
            for host in await self._addresses():
                try:
                    connection = await self._connect_to(host)
                except OSError as error:  # a TimeoutError too
                    reason = error
                else:
                    break
            else:
                raise reason or OSError("the name has no address")
        except (OSError, UnicodeError) as error:
            raise BrokenError(f"no connection: {error or 'in time'}") from error
        self._open.add(connection)
        if self._closed:
            connection.abort()
        return connection

    async def _addresses(self) -> list[str]:
        """Return what the server's name stands for; each is tried in turn, as some may be dead."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._connect_timeout_s):
            found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(address[0]) for *_, address in found))

    async def _connect_to(self, address: str) -> _Connection:
        name = self._host if self._tls else None
        async with asyncio.timeout(self._connect_timeout_s):
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: _Connection(self), address, self._port, ssl=self._tls, server_hostname=name
            )
        return connection
