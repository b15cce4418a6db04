"""Lets FFmpeg read objects: as a file where the store has one, else by HTTP from this process."""

import asyncio
import contextlib
import re
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus

import h11
import structlog

from reelay.common.source_input import SourceInput
from reelay.common.storage.port import (
    ObjectInfo,
    ObjectMissingError,
    ObjectStore,
    StoreUnavailableError,
)

READ_BYTES = 64 * 1024
RANGE = re.compile(rb"bytes=(\d*)-(\d*)")

OUTAGES = (StoreUnavailableError, ObjectMissingError)
NOT_WAITING = float("inf")
SILENT_S = 10.0
"""A store that gives no byte for so long is to blame for a reader's impatience."""

log = structlog.get_logger()

Send = Callable[[h11.Event], Awaitable[None]]


@dataclass
class _Lent:
    """An object while somebody reads it."""

    info: ObjectInfo
    outage: StoreUnavailableError | ObjectMissingError | None = None
    waiting: dict[object, float] = field(default_factory=dict)
    """Since when readers wait for the store (time.monotonic)."""

    def check(self) -> None:
        """Raise what kept a reader from getting all that was asked for, or still does."""
        if self.outage is not None:
            raise self.outage
        if self.waiting and time.monotonic() - min(self.waiting.values()) > SILENT_S:
            raise StoreUnavailableError(f"The store is silent in the middle of {self.info.key}")


class RangeReader:
    """Serves objects to FFmpeg on loopback, each under a random path that ends with its block."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._lent: dict[str, _Lent] = {}
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Begin to listen on a free loopback port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

    @contextlib.asynccontextmanager
    async def open(self, key: str) -> AsyncIterator[SourceInput]:
        """Make an object readable for the block; raise ObjectMissingError when there is none."""
        path = self._store.local_path(key)
        if path is not None and path.exists():
            yield SourceInput(f"file:{path}", "file")
            return
        info = await self._store.head(key)
        assert self._server is not None, "start() comes first"
        port = self._server.sockets[0].getsockname()[1]
        target = f"/{secrets.token_urlsafe(32)}"
        lent = self._lent[target] = _Lent(info)
        try:
            yield SourceInput(f"http://127.0.0.1:{port}{target}", "http,tcp", lent.check)
        finally:
            del self._lent[target]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER)

        async def send(event: h11.Event) -> None:
            writer.write(connection.send(event) or b"")
            await writer.drain()

        try:
            while True:
                request = await _next_request(connection, reader)
                if request is None:
                    return
                await self._answer(request, send)
                if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                    return
                connection.start_next_cycle()
        except (ConnectionError, h11.ProtocolError):
            return  # FFmpeg hangs up whenever it seeks
        except OUTAGES as error:
            log.warning("source cannot be read", error=repr(error))
        finally:
            writer.close()

    async def _answer(self, request: h11.Request, send: Send) -> None:
        lent = self._lent.get(request.target.decode("ascii"))
        if lent is None or request.method not in (b"GET", b"HEAD"):
            await _send_head(send, HTTPStatus.NOT_FOUND, {"content-length": "0"})
            await send(h11.EndOfMessage())
            return
        info = lent.info
        wanted = dict(request.headers).get(b"range")
        span = parse_range(wanted, info.size_bytes)
        if span is None:
            headers = {"content-length": "0", "content-range": f"bytes */{info.size_bytes}"}
            await _send_head(send, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers)
            await send(h11.EndOfMessage())
            return
        start, end = span
        headers = {"content-length": str(end - start), "accept-ranges": "bytes"}
        status = HTTPStatus.OK
        if wanted is not None:
            status = HTTPStatus.PARTIAL_CONTENT
            headers["content-range"] = f"bytes {start}-{end - 1}/{info.size_bytes}"
        await _send_head(send, status, headers)
        if request.method == b"GET":
            async with contextlib.aclosing(_blocks(self._store, lent, start, end)) as blocks:
                async for block in blocks:
                    await send(h11.Data(data=block))
        await send(h11.EndOfMessage())


def parse_range(header: bytes | None, size_bytes: int) -> tuple[int, int] | None:
    """Return the half-open range that a Range header asks for (RFC 9110, section 14.2).

    The whole when there is none; None when it cannot be satisfied. One range is understood.
    """
    if header is None:
        return 0, size_bytes
    match = RANGE.fullmatch(header.strip())
    if match is None or match[1] == match[2] == b"":
        return None
    if match[1] == b"":
        start, end = max(0, size_bytes - int(match[2])), size_bytes
    else:
        start = int(match[1])
        end = min(size_bytes, int(match[2]) + 1) if match[2] else size_bytes
    return (start, end) if start < end else None


async def _next_request(
    connection: h11.Connection, reader: asyncio.StreamReader
) -> h11.Request | None:
    """Return the next request, read to its end; None when the client is gone."""
    request: h11.Request | None = None
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(READ_BYTES))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.EndOfMessage):
            return request
        elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
            return None


async def _send_head(send: Send, status: HTTPStatus, headers: dict[str, str]) -> None:
    await send(h11.Response(status_code=status, headers=list(headers.items())))


async def _blocks(store: ObjectStore, lent: _Lent, start: int, end: int) -> AsyncGenerator[bytes]:
    """Yield all bytes of a range; what keeps them back is noted before the connection ends."""
    reader = object()
    lent.waiting[reader] = time.monotonic()
    try:
        async for block in store.read(lent.info.key, start, end):
            start += len(block)
            lent.waiting[reader] = NOT_WAITING
            yield block
            lent.waiting[reader] = time.monotonic()
        if start < end:
            raise StoreUnavailableError(f"{lent.info.key} ended at {start} of {end}")
    except OUTAGES as error:
        lent.outage = error
        raise
    except Exception as error:  # the boundary: whatever it was, the source is not as short as that
        lent.outage = StoreUnavailableError(f"{lent.info.key} cannot be read: {error!r}")
        raise lent.outage from error
    finally:
        del lent.waiting[reader]
