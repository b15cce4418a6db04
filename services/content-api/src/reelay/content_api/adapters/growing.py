"""Reads files that may still be growing."""

import asyncio
import os
from collections.abc import Iterable
from contextlib import suppress

from reelay.common.storage import StoreUnavailableError
from reelay.content_api.domain.ports import Found, StoredFile
from reelay.content_api.domain.ranges import ByteRange


async def readable(source: Found, position: int) -> int:
    """Return how far a file may be read as soon as that is farther than `position`."""
    if isinstance(source, StoredFile):
        return source.size_bytes
    return await source.arrived(position)


async def gathered(source: Found, pieces: Iterable[bytes | ByteRange]) -> bytes:
    """Return bytes and ranges of a file one behind the other; raise StoreUnavailableError."""
    pieces = list(pieces)
    for piece in pieces:
        if isinstance(piece, ByteRange):
            position = piece.start
            while position < piece.end:
                position = await readable(source, position)
    # In this step: in the next a file that is complete may have another name, or be dropped.
    try:
        file = os.open(source.path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise StoreUnavailableError("A file of the cache is gone") from error
    reading = asyncio.ensure_future(asyncio.to_thread(_read, file, pieces))
    try:
        return await asyncio.shield(reading)
    finally:
        while not reading.done():  # Nobody else may get the file's number before.
            with suppress(asyncio.CancelledError):
                await asyncio.wait({reading})
        os.close(file)
        reading.exception()  # which is raised above, unless this was cancelled: then nobody asks


def _read(file: int, pieces: Iterable[bytes | ByteRange]) -> bytes:
    return b"".join(piece if isinstance(piece, bytes) else _part(file, piece) for piece in pieces)


def _part(file: int, part: ByteRange) -> bytes:
    content = os.pread(file, part.length, part.start)
    if len(content) != part.length:
        raise StoreUnavailableError("A file of the cache ended early")
    return content
