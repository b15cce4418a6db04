"""An answer of an HTTP/1.1 server (RFC 9112) on its way, read in steps."""

import asyncio
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from types import TracebackType
from typing import Protocol, Self

import httptools

AHEAD_BYTES = 16 * 1024
"""When so much of an answer is here unread, no more is taken (so up to one step of the connection
more): the kernel, and so the server, keep the rest."""
HEAD_BYTES = 64 * 1024
"""What may come before the body."""


class BrokenError(ConnectionError):
    """A connection could not be made, failed, was silent for too long, or brought no HTTP."""


class Carrier(Protocol):
    """The connection that an answer comes over."""

    def pause(self) -> None:
        """Leave what comes to the kernel."""
        ...

    def resume(self) -> None:
        """Take in what comes."""
        ...

    def done(self, *, keep: bool) -> None:
        """Hear that the answer is complete, and whether another one may follow."""
        ...

    def abort(self) -> None:
        """End it at once."""
        ...


class Answer:
    """An answer under way; its body is read in steps. To be closed, or used as a context."""

    def __init__(self, method: str, timeout_s: float) -> None:
        """`timeout_s` is the longest silence."""
        self.status = 0
        self.heard = False
        """Whether any byte has come."""
        self._method = method
        self._timeout_s = timeout_s
        self._parser = httptools.HttpResponseParser(self)
        self._head_bytes = 0
        self._lines: list[tuple[bytes, bytes]] = []
        self._fields: dict[str, str] = {}
        self._blocks: deque[bytes] = deque()
        self._ahead_bytes = 0
        self.headed = False
        """Whether status and fields are here."""
        self._complete = False
        self._excess = False
        self._error: BrokenError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._connection: Carrier | None = None
        self._at_end: Callable[[], None] | None = None
        self._at_begin: Callable[[bytes], None] | None = None

    @property
    def fields(self) -> dict[str, str]:
        """By name in lower case; of several with one name the last."""
        for name, text in self._lines:
            self._fields[name.decode("latin-1").lower()] = text.decode("latin-1").strip()
        self._lines.clear()
        return self._fields

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def read(self, size: int) -> bytes:
        """Return what is here, `size` bytes at most; nothing at the end. Raises BrokenError."""
        while not self._blocks:
            if self._error is not None:
                raise self._error
            if self._complete:
                return b""
            await self._news()
        block = self._blocks.popleft()
        if len(block) > size:
            self._blocks.appendleft(block[size:])
            block = block[:size]
        self._ahead_bytes -= len(block)
        return block

    def close(self) -> None:
        """End it; what was not read is lost, and the connection with it."""
        if self._connection is not None:
            self._connection.abort()
        self._end(BrokenError("closed"))

    def begin(self, connection: Carrier) -> None:
        """Note where it comes from."""
        self._connection = connection

    async def head(self) -> None:
        """Return when status and fields are here. Raises BrokenError."""
        while not self.headed:
            if self._error is not None:
                raise self._error
            await self._news()

    def when_ended(self, call: Callable[[], None]) -> None:
        """Call something when the connection is not needed any more."""
        if self._connection is None:
            call()
        else:
            self._at_end = call

    def when_begun(self, call: Callable[[bytes], None]) -> None:
        """Call something with what comes first of an object, in the step in which it comes.

        Not when the answer is another one than 200. The bytes are still to be read.
        """
        self._at_begin = call

    def feed(self, data: memoryview) -> None:
        """Take bytes of the connection."""
        self.heard = True
        connection = self._connection
        self._head_bytes += 0 if self.headed else len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.fail(f"the answer is no HTTP: {error!r}")
        else:
            if not self.headed and self._head_bytes > HEAD_BYTES:
                self.fail("the answer has too much before its body")
            if self._ahead_bytes > AHEAD_BYTES and self._connection is not None:
                self._connection.pause()
        if connection is not None and (self._excess or self._error is not None):
            connection.abort()
        if self._at_begin is not None and self._blocks:
            call, self._at_begin = self._at_begin, None
            if self.status == HTTPStatus.OK and self._error is None:
                call(self._blocks[0])
        self._wake()

    def lost(self, error: Exception | None) -> None:
        """Hear that the connection ended.

        A text about an error may end so when it has no length (section 6.3). An object may not: a
        connection that breaks looks the same.
        """
        sized = "content-length" in self.fields or "transfer-encoding" in self.fields
        told = self.headed and self.status >= HTTPStatus.MULTIPLE_CHOICES
        if told and not sized and error is None:
            self._end(None)
        else:
            self._end(BrokenError(f"the connection ended: {error or 'closed by the server'}"))

    def fail(self, reason: str) -> None:
        """Let it end with an error, after what has come."""
        self._end(BrokenError(reason))

    def on_message_begin(self) -> None:
        """Called by the parser."""
        self._excess |= self._complete

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser, after the body too (section 7.1.2)."""
        if not self.headed:
            self._lines.append((name, value))

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        if self.headed:  # another answer, which nobody asked for
            return
        self.status = self._parser.get_status_code()
        if self.status < HTTPStatus.OK:  # an interim answer: the one that counts follows
            self._lines.clear()
            self._fields.clear()
            return
        self.headed = True
        if self._method == "HEAD":  # which the parser does not know
            self._finish()

    def on_body(self, data: bytes) -> None:
        """Called by the parser."""
        if not self._complete:
            self._blocks.append(data)
            self._ahead_bytes += len(data)
        else:
            self._excess = True

    def on_message_complete(self) -> None:
        """Called by the parser."""
        if self.headed and not self._complete:
            self._finish()

    def _finish(self) -> None:
        connection = self._connection
        if connection is not None and self._error is None:
            connection.done(keep=self._parser.should_keep_alive())
        self._end(None)

    def _end(self, error: BrokenError | None) -> None:
        if self._complete or self._error is not None:
            return
        self._complete, self._error = error is None, error
        self._connection = None
        if self._at_end is not None:
            self._at_end()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _news(self) -> None:
        if self._connection is not None:  # not sooner: what is here is passed on before more comes
            self._connection.resume()
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._waiter
        except TimeoutError:
            connection = self._connection
            self.fail(f"silent for {self._timeout_s:g} s")
            if connection is not None:
                connection.abort()
