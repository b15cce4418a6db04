"""The file that is published."""

import stat
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from reelay.cli.errors import FileUnusableError
from reelay.cli.names import readable

BLOCK_BYTES = 256 * 1024


@dataclass(frozen=True)
class SourceFile:
    """A regular, readable file with something in it; size and mtime say whether it changed."""

    path: Path
    size_bytes: int
    mtime_ns: int

    @property
    def name(self) -> str:
        """What the file is called, as text that can be sent and printed."""
        return readable(self.path.name)

    @property
    def place(self) -> str:
        """Where it lies, as such text."""
        return readable(str(self.path))


def examine(path: Path) -> SourceFile:
    """Return the file at `path`; raises FileUnusableError that says what is wrong with it."""
    place = readable(str(path))
    try:
        # Opening a named pipe would wait for a writer for ever.
        if path.is_dir():
            raise FileUnusableError(f"{place} is a directory; name the files in it.")
        if path.exists() and not path.is_file():
            raise FileUnusableError(f"{place} is not a regular file.")
        with path.open("rb") as file:
            info = path.stat()
            file.read(1)
    except (OSError, ValueError) as error:
        what = error.strerror if isinstance(error, OSError) else str(error)
        raise FileUnusableError(f"{place} cannot be read: {what}.") from error
    if not stat.S_ISREG(info.st_mode) or info.st_size == 0:
        raise FileUnusableError(f"{place} is empty.")
    return SourceFile(path.absolute(), info.st_size, info.st_mtime_ns)


async def blocks(
    file: SourceFile, start: int, end: int, on_sent: Callable[[int], None]
) -> AsyncGenerator[bytes, None]:
    """Yield the bytes [start, end) of a file; tell `on_sent` the offset that was taken so far.

    Raises FileUnusableError when the file cannot be read that far, or is another one by now.
    """
    with _open_unchanged(file, start) as stream:
        offset = start
        while offset < end:
            try:
                block = stream.read(min(BLOCK_BYTES, end - offset))
            except OSError as error:
                raise FileUnusableError(f"{file.place} cannot be read: {error}.") from error
            if not block:
                raise FileUnusableError(f"{file.place} became shorter while it was sent.")
            yield block
            offset += len(block)
            on_sent(offset)


def _open_unchanged(file: SourceFile, start: int) -> BinaryIO:
    now = examine(file.path)
    if now != file:
        raise FileUnusableError(f"{file.place} was changed while it was sent; publish it again.")
    stream = file.path.open("rb")
    stream.seek(start)
    return stream
