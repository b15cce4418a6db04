"""Objects that are being written in parts: a file each, and beside it the digests of its parts."""

import fcntl
import hashlib
import os
import re
import struct
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from reelay.common.identity import MAX_PARTS, PART_SIZE_BYTES
from reelay.common.storage.directories import store_errors
from reelay.common.storage.port import AttemptMissingError, Bytes, InvalidPartsError, PartInfo

ATTEMPT = re.compile(r"[0-9a-f]{32}")
RECORD = struct.Struct(">32sI")
"""What is kept of a part: its SHA-256 and its length; zeros while the part is being written."""

WRITE_BYTES = 1024 * 1024
"""For writes of 2 MiB Linux (6.18) seeks huge pages: 8 MiB took 30 ms at once, so they take 2."""


class PartFiles:
    """The attempts below one folder.

    Part n lies at (n-1) x PART_SIZE_BYTES of `<attempt>`, its record in `<attempt>.parts`. A lock
    on the file orders writers, and a late writer can never change a published object.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def begin(self) -> str:
        """Begin an attempt; return its name."""
        attempt = uuid4().hex
        with store_errors():
            for path in (self._records(attempt), self.folder / attempt):
                path.touch(exist_ok=False)
            folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        return attempt

    def put(self, attempt: str, number: int, data: Bytes, sha256: bytes | None = None) -> str:
        """Store a part durably; return its SHA-256 in hex, found out unless it is given."""
        digest = sha256 or hashlib.sha256(data).digest()
        position, start = (number - 1) * RECORD.size, (number - 1) * PART_SIZE_BYTES
        with store_errors(), self._locked(attempt) as (file, records):
            _write(records, bytes(RECORD.size), position)
            _write(file, data, start)
            os.fdatasync(file)
            _write(records, RECORD.pack(digest, len(data)), position)
            os.fdatasync(records)
            if number > 1 and len(data) == PART_SIZE_BYTES:
                # A large file pushes nothing out of the page cache, and the kernel finds the next
                # part's pages at once. Its ends stay: they are read as soon as it is complete.
                os.posix_fadvise(file, start, len(data), os.POSIX_FADV_DONTNEED)
        return digest.hex()

    def list(self, attempt: str) -> list[PartInfo]:
        """Return the parts that are stored."""
        with store_errors(), self._locked(attempt) as (_, records):
            written = os.pread(records, RECORD.size * MAX_PARTS, 0)
        return [
            PartInfo(number, length, digest.hex())
            for number, (digest, length) in enumerate(RECORD.iter_unpack(written), start=1)
            if length
        ]

    @contextmanager
    def joined(self, attempt: str, tags: Sequence[str], last: Bytes = b"") -> Iterator[Path]:
        """Check the parts, append `last`, and lend the file, durable, for publishing."""
        with self._locked(attempt) as (file, records):
            written = os.pread(records, RECORD.size * len(tags), 0)
            size_bytes = _joined_size_bytes(written, tags, may_be_short=not last)
            if last:  # no record yet: it does not count before the file is published
                _write(records, bytes(RECORD.size), len(tags) * RECORD.size)
                _write(file, last, size_bytes)
            os.ftruncate(file, size_bytes + len(last))
            os.utime(file)
            os.fsync(file)
            yield self.folder / attempt

    def drop(self, attempt: str) -> None:
        """Remove an attempt and its parts, if there."""
        if ATTEMPT.fullmatch(attempt):
            with store_errors():
                (self.folder / attempt).unlink(missing_ok=True)
                self._records(attempt).unlink(missing_ok=True)

    def sweep(self, before_s: float, keep: Container[str]) -> int:
        """Drop what was last written before this POSIX time, but attempts to keep; count them."""
        written_s: dict[str, float] = {}
        for path in self.folder.iterdir():
            with suppress(FileNotFoundError):
                status = path.stat(follow_symlinks=False)
                written_s[path.stem] = max(written_s.get(path.stem, 0), status.st_mtime)
        old = [
            name
            for name, at_s in written_s.items()
            if at_s < before_s and ATTEMPT.fullmatch(name) and name not in keep
        ]
        for attempt in old:
            self.drop(attempt)
        return len(old)

    def _records(self, attempt: str) -> Path:
        return self.folder / f"{attempt}.parts"

    @contextmanager
    def _locked(self, attempt: str) -> Iterator[tuple[int, int]]:
        """Open an attempt's file and records for one writer at a time."""
        if not ATTEMPT.fullmatch(attempt):
            raise AttemptMissingError
        try:
            file = os.open(self.folder / attempt, os.O_RDWR | os.O_NOFOLLOW)
        except FileNotFoundError as error:
            raise AttemptMissingError from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            self._check_unpublished(attempt, file)
            records = os.open(self._records(attempt), os.O_RDWR | os.O_NOFOLLOW)
            try:
                yield file, records
            finally:
                os.close(records)
        finally:
            os.close(file)

    def _check_unpublished(self, attempt: str, file: int) -> None:
        """Raise AttemptMissingError when, before we held the lock, it was published or dropped.

        A published file has two names, then only the object's: the order of the two looks matters.
        """
        names = os.fstat(file).st_nlink
        if names != 1 or not (self.folder / attempt).exists():
            raise AttemptMissingError


def _joined_size_bytes(records: bytes, tags: Sequence[str], *, may_be_short: bool) -> int:
    """Return the length of what these parts make; raise InvalidPartsError if they make nothing.

    The last of them may be shorter than the others only if `may_be_short`.
    """
    if (may_be_short and not tags) or len(records) != RECORD.size * len(tags):
        raise InvalidPartsError
    size_bytes = 0
    for number, (tag, (digest, length)) in enumerate(
        zip(tags, RECORD.iter_unpack(records), strict=True), start=1
    ):
        if not length or digest.hex() != tag:
            raise InvalidPartsError(f"Part {number} is not the one stored last")
        if length != PART_SIZE_BYTES and not (may_be_short and number == len(tags)):
            raise InvalidPartsError(f"Part {number} is short and not the last")
        size_bytes += length
    return size_bytes


def _write(file: int, data: Bytes, position: int) -> None:
    """Write all of `data` at `position`, in steps for which the kernel finds pages at once."""
    rest = memoryview(data)
    while rest:
        written = os.pwrite(file, rest[:WRITE_BYTES], position)
        rest, position = rest[written:], position + written
