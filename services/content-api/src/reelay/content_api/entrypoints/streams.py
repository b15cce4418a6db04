"""Answers whose bytes are handed to the server at once, as far as there is memory for them."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Lock

from reelay.common.storage import StoreUnavailableError
from reelay.content_api.domain.bodies import Body
from reelay.content_api.domain.ports import Arriving
from reelay.content_api.domain.ranges import ByteRange
from reelay.content_api.entrypoints.protocol import Fields, HTTPProtocol, ProtocolClosed, Transport

MAX_STREAMED_BYTES = 28 * 1024**2
"""What answers under way may hold, however slowly they are read."""
SHARE = 4
"""One of them may have this part of it at most."""
STEP_BYTES = 256 * 1024
"""What is handed over at a time; the last such step of an answer does not count."""
ASK_AGAIN_S = 0.002
GROWTH = 1.5
LONGEST_S = 5.0
"""When an answer is asked whether more is wanted: this long after it began, and after longer each
time, so that one whose reader takes nothing is not asked often."""
QUESTION_BYTES = 64
"""What a question takes in Granian until its answer is read to its end; 40 were measured."""


class Stream:
    """An answer under way."""

    def __init__(self, transport: Transport, size_bytes: int, now_s: float) -> None:
        self._transport: Transport | None = transport
        self.held_bytes = size_bytes
        self._pause_s = ASK_AGAIN_S
        self._ask_at_s = now_s + ASK_AGAIN_S

    def send(self, content: bytes) -> None:
        """Hand bytes over, at once.

        Raises ProtocolClosed when nothing more is wanted: the connection ended, or the kernel has
        all of the answer but what the server may keep ready for it (see http.ConnectionLimits).
        """
        transport = self._transport  # Another thread may drop it meanwhile.
        if transport is None:
            raise ProtocolClosed
        with suppress(StopIteration):
            next(iter(transport.send_bytes(content).__await__()))
            raise RuntimeError("the server takes its time for what it used to take at once")

    def may_hold(self, now_s: float) -> bool:
        """Tell whether bytes that were handed over may still be kept, or more may come."""
        if now_s < self._ask_at_s:
            return True
        self._pause_s = min(GROWTH * self._pause_s, LONGEST_S)
        self._ask_at_s = now_s + self._pause_s
        self.held_bytes += QUESTION_BYTES
        try:
            self.send(b"")
        except ProtocolClosed:
            return False
        return True

    async def feed(self, body: Body, source: Arriving) -> None:
        """Send a body as its object arrives; break the connection off when that fails.

        Raises OSError when the object's file is gone.
        """
        complete = False
        try:
            for piece in body.pieces:
                if isinstance(piece, bytes):
                    self.send(piece)
                else:
                    await self._send_range(piece, source)
            complete = True
        except (StoreUnavailableError, ProtocolClosed):
            pass
        finally:
            if not complete:
                self._transport = None  # The server misses bytes when nobody can send more.

    async def _send_range(self, part: ByteRange, source: Arriving) -> None:
        position = part.start
        if content := source.beginning[position : part.end]:
            self.send(content)
            os.sched_yield()  # Granian's thread, woken where this one runs, would wait for it.
            position += len(content)
            if position == part.end:
                return
        end = await source.arrived(position)
        file = os.open(source.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            while position < part.end:
                if position == end:
                    end = await source.arrived(position)
                # Written a moment ago, so no disk is waited for.
                length = min(end - position, part.end - position, STEP_BYTES)
                content = os.pread(file, length, position)
                if not content:
                    raise OSError("the file ended early")
                self.send(content)
                position += len(content)
        finally:
            os.close(file)


class Streams:
    """All answers under way, with what they hold.

    Granian takes a stream's bytes without limit (2.8.7; emmett-framework/granian#898 mended it for
    ASGI and WSGI only) but says of each whether it still wants any: who does not has sent them.
    """

    def __init__(
        self, max_bytes: int = MAX_STREAMED_BYTES, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._max_bytes = max_bytes
        self._now = now
        self._under_way: list[Stream] = []
        self._total_bytes = 0
        self._lock = Lock()

    def open(
        self, proto: HTTPProtocol, status: int, fields: Fields, size_bytes: int
    ) -> Stream | None:
        """Begin an answer with a body of that size, on any thread; None when memory is short."""
        if not self.has_share(size_bytes):
            return None
        with self._lock:
            now_s = self._now()
            if self._total_bytes + size_bytes > self._max_bytes:
                self._forget_sent(now_s)
                if self._total_bytes + size_bytes > self._max_bytes:
                    return None
            stream = Stream(proto.response_stream(status, fields), size_bytes, now_s)
            self._under_way.append(stream)
            self._total_bytes += size_bytes
            return stream

    def has_share(self, size_bytes: int) -> bool:
        """Tell whether a body is small enough to be sent from memory."""
        return size_bytes <= self._max_bytes // SHARE

    def _forget_sent(self, now_s: float) -> None:
        self._under_way = [stream for stream in self._under_way if stream.may_hold(now_s)]
        self._total_bytes = sum(stream.held_bytes for stream in self._under_way)
