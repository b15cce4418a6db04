"""A named pipe that the server reads like a file, and into which an answer's bytes are moved.

Bytes given to an RSGI stream Granian takes without limit and keeps until a slow client has read
them (2.8.7; emmett-framework/granian#898 mended it for ASGI and WSGI only). A file it reads only
as fast as the client does, and a named pipe is a file to it; `splice` moves the pages of a file
into the pipe without copying them.
"""

import asyncio
import fcntl
import os
import struct
import termios
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from reelay.content_api.adapters.growing import readable
from reelay.content_api.domain.ports import Found, StoredFile
from reelay.content_api.domain.ranges import ByteRange

PIPE_BYTES = 64 * 1024
"""What a pipe holds. All bodies are longer (see Feeds): when all of one is written, some of it was
read, so the server has opened the pipe."""
STALLED_S = 40.0
"""A pipe that takes nothing for so long has no reader; longer than the server's own limit."""

OPENED_S = 2.0
"""How long the server may take to open a pipe that is to be closed early."""


class FileThreads:
    """How many of the server's file threads pipes may keep waiting; some are left for files."""

    def __init__(self, limit: int) -> None:
        self.free = limit

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Count one that a pipe may keep waiting now."""
        self.free -= 1
        try:
            yield
        finally:
            self.free += 1


class Pipe:
    """The writing end, and a reading end until the server has its own.

    Raises BrokenPipeError when the reader left or a file ended early, TimeoutError when the reader
    takes nothing.
    """

    def __init__(self, path: Path) -> None:
        os.mkfifo(path, 0o600)
        self.path = path
        self._reader: int | None = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._writer = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._written = 0
        self._source: Found | None = None
        self._file = -1
        with suppress(OSError):
            fcntl.fcntl(self._writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    async def write(self, content: bytes) -> None:
        """Write bytes."""
        while content:
            try:
                count = os.write(self._writer, content)
            except BlockingIOError:
                await self._writable()
                continue
            self._count(count)
            content = content[count:]

    async def move(
        self,
        source: Found,
        part: ByteRange,
        arrived: Callable[[Found, int], Awaitable[int]] = readable,
    ) -> None:
        """Write some bytes of a file, which stays open as long as it is moved from.

        `arrived` waits for them. Raises what it raises, and OSError when the file is gone.
        """
        position = part.start
        while position < part.end:
            end = await arrived(source, position)
            if self._source is not source:
                self._close_file()
                self._file = os.open(source.path, os.O_RDONLY | os.O_CLOEXEC)
                self._source = source
            most = min(end, part.end) - position
            position += await self._splice(position, most, on_disk=isinstance(source, StoredFile))

    async def opened(self) -> None:
        """Return when the server has its end, in `OPENED_S` at most.

        A pipe that was closed before is answered with 404, which caches may keep; one that ends too
        early breaks the connection off.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + OPENED_S
        while self._reader is not None and loop.time() < until:
            await asyncio.sleep(0.01)
            self._count(0)

    def close(self) -> None:
        """Unlink first: opening a pipe that nobody writes to would keep a thread for ever."""
        with suppress(FileNotFoundError):
            self.path.unlink()
        if self._reader is not None:
            os.close(self._reader)
        os.close(self._writer)
        self._close_file()

    def _close_file(self) -> None:
        if self._source is not None:
            os.close(self._file)
            self._source = None

    async def _splice(self, start: int, most: int, *, on_disk: bool) -> int:
        """Move up to `most` bytes; `on_disk`: they may have to be read first, off the loop."""
        file = self._file

        def move() -> int:
            flags = os.SPLICE_F_NONBLOCK
            return os.splice(file, self._writer, most, offset_src=start, flags=flags)

        while True:
            try:
                count = await asyncio.to_thread(move) if on_disk else move()
            except BlockingIOError:
                await self._writable()
                continue
            if not count:
                raise BrokenPipeError("the file ended early")
            self._count(count)
            return count

    def _count(self, count: int) -> None:
        """Once something was read the server has opened the pipe: its leaving is to be noticed."""
        self._written += count
        if self._reader is not None:
            (unread,) = struct.unpack("i", fcntl.ioctl(self._reader, termios.FIONREAD, b"\0" * 4))
            if unread < self._written:
                self.path.unlink()
                os.close(self._reader)
                self._reader = None

    async def _writable(self) -> None:
        loop = asyncio.get_running_loop()
        writable = asyncio.Event()
        loop.add_writer(self._writer, writable.set)
        try:
            async with asyncio.timeout(STALLED_S):
                await writable.wait()
        finally:
            loop.remove_writer(self._writer)
