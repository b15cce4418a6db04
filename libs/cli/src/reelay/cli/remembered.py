"""Uploads that were begun and not finished, so that the next `reelay publish` goes on with them."""

import contextlib
import fcntl
import json
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from reelay.cli.source import SourceFile

FORGET_AFTER_S = 30 * 86400.0


@dataclass(frozen=True)
class Upload:
    """Where the bytes of one file go."""

    video_id: str
    upload_url: str


class RememberedUploads:
    """A JSON file: server, absolute path, size and modification time of a file → its upload.

    Several processes may use it at once. A damaged file counts as an empty one: what is lost is
    the chance to go on with an upload, never a video.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def find(self, server: str, file: SourceFile) -> Upload | None:
        """Return the upload that was begun for exactly these bytes on this server."""
        entry = self._read().get(_key(server, file))
        return Upload(entry["video_id"], entry["upload_url"]) if entry else None

    def remember(self, server: str, file: SourceFile, upload: Upload) -> None:
        """Note an upload; it is durable when the call returns."""
        with self._changing() as entries:
            entries[_key(server, file)] = {**asdict(upload), "at": str(int(time.time()))}

    def forget(self, server: str, file: SourceFile) -> None:
        """Drop an upload, if it is known at all."""
        with self._changing() as entries:
            entries.pop(_key(server, file), None)

    @contextlib.contextmanager
    def _changing(self) -> Iterator[dict[str, dict[str, str]]]:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self._path.with_suffix(".lock")).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = self._read()
            entries = dict(before)
            yield entries
            if entries != before:
                self._write(entries)

    def _read(self) -> dict[str, dict[str, str]]:
        try:
            entries = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}
        oldest = time.time() - FORGET_AFTER_S
        return {
            key: entry
            for key, entry in (entries.items() if isinstance(entries, dict) else ())
            if _is_entry(entry) and int(entry["at"]) > oldest
        }

    def _write(self, entries: dict[str, dict[str, str]]) -> None:
        number, name = tempfile.mkstemp(dir=self._path.parent, prefix=".uploads-")
        try:
            with os.fdopen(number, "w") as file:
                json.dump(entries, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self._path)
        finally:
            Path(name).unlink(missing_ok=True)


def _key(server: str, file: SourceFile) -> str:
    return json.dumps([server, str(file.path), file.size_bytes, file.mtime_ns])


def _is_entry(entry: object) -> bool:
    return (
        isinstance(entry, dict)
        and all(isinstance(entry.get(name), str) for name in ("video_id", "upload_url", "at"))
        and entry["at"].isdecimal()
    )
