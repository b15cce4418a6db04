"""Answers whose bytes are not one finished file, sent through named pipes.

Bytes given to an RSGI stream Granian takes without limit and keeps until a slow client has read
them (2.8.7; emmett-framework/granian#898 mended it for ASGI and WSGI only). A file it reads only
as fast as the client does, and a named pipe is a file to it; `splice` moves the pages of the cached
file into the pipe without copying them.
"""

import asyncio
import fcntl
import itertools
import os
import struct
import termios
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from reelay.common.storage import StoreUnavailableError
from reelay.content_api.domain.bodies import Body
from reelay.content_api.domain.ports import Found, StoredFile
from reelay.content_api.domain.ranges import ByteRange

PIPE_BYTES = 64 * 1024
"""What a pipe holds. All bodies are longer (see Feeds): when all of one is written, some of it was
read, so the server has opened the pipe."""
STALLED_S = 40.0
"""A pipe that takes nothing for so long has no reader; longer than the server's own limit."""


class PipeFeeds:
    """At most so many pipes at a time: each may keep one of the server's file threads waiting."""

    def __init__(self, folder: Path, limit: int) -> None:
        """Make pipes in `folder`, which nobody else uses."""
        self._folder = folder
        self._free = limit
        self._numbers = itertools.count()

    @property
    def full(self) -> bool:
        """Whether no pipe is free."""
        return self._free <= 0

    async def send(self, body: Body, source: Found, answer: Callable[[str], None]) -> None:
        """See Feeds."""
        path = self._folder / str(next(self._numbers))
        self._free -= 1
        try:
            pipe = _Pipe(path)
            try:
                answer(str(path))
                with suppress(BrokenPipeError, TimeoutError, StoreUnavailableError):
                    await pipe.write_body(body, source)
            finally:
                pipe.close()
        finally:
            self._free += 1

    async def read(self, body: Body, source: Found) -> bytes:
        """See Feeds."""
        for piece in body.pieces:
            if isinstance(piece, ByteRange):
                position = piece.start
                while position < piece.end:
                    position = await _readable(source, position)
        return await asyncio.to_thread(_gather, body, source.path)


class _Pipe:
    """The writing end, and a reading end until the server has its own."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path, 0o600)
        self._path = path
        self._reader: int | None = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._writer = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._written = 0
        with suppress(OSError):
            fcntl.fcntl(self._writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    async def write_body(self, body: Body, source: Found) -> None:
        file: int | None = None
        try:
            for piece in body.pieces:
                if isinstance(piece, bytes):
                    await self._write(piece)
                    continue
                position = piece.start
                while position < piece.end:
                    readable = await _readable(source, position)
                    if file is None:
                        file = os.open(source.path, os.O_RDONLY | os.O_CLOEXEC)
                    most = min(readable, piece.end) - position
                    on_disk = isinstance(source, StoredFile)
                    position += await self._splice(file, position, most, on_disk=on_disk)
        finally:
            if file is not None:
                os.close(file)

    def close(self) -> None:
        """Unlink first: opening a pipe that nobody writes to would keep a thread for ever."""
        with suppress(FileNotFoundError):
            self._path.unlink()
        if self._reader is not None:
            os.close(self._reader)
        os.close(self._writer)

    async def _write(self, content: bytes) -> None:
        while content:
            try:
                count = os.write(self._writer, content)
            except BlockingIOError:
                await self._writable()
                continue
            self._count(count)
            content = content[count:]

    async def _splice(self, file: int, start: int, most: int, *, on_disk: bool) -> int:
        """Move up to `most` bytes; `on_disk`: they may have to be read first, off the loop."""

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
                self._path.unlink()
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


def _gather(body: Body, path: str) -> bytes:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return b"".join(
            piece if isinstance(piece, bytes) else os.pread(file, piece.length, piece.start)
            for piece in body.pieces
        )
    finally:
        os.close(file)


async def _readable(source: Found, position: int) -> int:
    if isinstance(source, StoredFile):
        return source.size_bytes
    return await source.arrived(position)
