"""Bytes of a part that are kept out of memory: in a file without a name, gone with the process."""

import tempfile
from pathlib import Path
from typing import IO

from reelay.common.storage.directories import store_errors
from reelay.common.storage.port import Bytes, StoreUnavailableError


class FileSpool:
    """Implements Spool. The file is opened when the first bytes come.

    Raises StoreFullError when its disk is full, StoreUnavailableError when it fails.
    """

    def __init__(self, folder: Path | None) -> None:
        """Use a folder, or the system's for temporary files."""
        self._folder = folder
        self._file: IO[bytes] | None = None

    def write(self, block: Bytes) -> None:
        """See Spool."""
        with store_errors():
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115 (closed by close)
            rest = memoryview(block)
            while rest:
                rest = rest[self._file.write(rest) :]

    def read_into(self, room: memoryview) -> None:
        """See Spool."""
        if self._file is None:
            return
        with store_errors():
            self._file.seek(0)
            while room:
                read = self._file.readinto(room)  # type: ignore[attr-defined]  # a raw file has it
                if not read:
                    raise StoreUnavailableError("The spool is shorter than what was written to it")
                room = room[read:]

    def close(self) -> None:
        """See Spool."""
        if self._file is not None:
            self._file.close()
