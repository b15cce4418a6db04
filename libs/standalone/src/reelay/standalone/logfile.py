"""A log file of bounded size."""

from pathlib import Path
from typing import TextIO

MAX_BYTES = 10 * 1024 * 1024
KEPT = 2


class LogFile:
    """Appends lines to `path`; a full file becomes `path.1`, and so on up to `KEPT`."""

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._file = self._open()

    def write(self, line: str) -> None:
        """Write one line; a full disk loses it, because logs must not stop what they describe."""
        try:
            if self._file.closed:  # no new file could be begun after the last one was full
                self._file = self._open()
            self._file.write(line + "\n")
            self._file.flush()
            if self._file.tell() >= self._max_bytes:
                self._rotate()
        except OSError:
            return

    def close(self) -> None:
        self._file.close()

    def _open(self) -> TextIO:
        return self.path.open("a", encoding="utf-8", errors="backslashreplace")

    def _rotate(self) -> None:
        self._file.close()
        for number in range(KEPT, 0, -1):
            older = self._numbered(number - 1)
            if older.exists():
                older.replace(self._numbered(number))
        self._file = self._open()

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}") if number else self.path
