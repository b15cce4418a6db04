"""An object store in a directory: one file per object, under its key as path."""

import os
import shutil
import time
from collections.abc import AsyncIterator, Callable, Container, Generator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from reelay.common.storage.blocking import BlockingCalls
from reelay.common.storage.directories import (
    Directories,
    describe,
    link,
    open_object,
    store_errors,
)
from reelay.common.storage.folders import remove_older, scan_tree
from reelay.common.storage.links import Grant, Links, load_secret
from reelay.common.storage.part_files import PartFiles
from reelay.common.storage.port import (
    AttemptMissingError,
    Bytes,
    ObjectInfo,
    ObjectMissingError,
    PartInfo,
    PutResult,
    SignedRequest,
    StoreUnavailableError,
    check_key,
    check_part,
    check_part_number,
    check_prefix,
)

BLOCK_BYTES = 256 * 1024
"""What one step of `read` yields at most."""
COPY_BYTES = 1024 * 1024
THREADS = 16
PUBLISH_TRIES = 100
"""How often a name is linked anew when its directory is pruned at the same moment."""


class FilesystemObjectStore:
    """An object store in a directory of a local (or NFS) filesystem.

    Objects are written to `.tmp`, synchronised and linked to their names, so a name is either
    absent or complete, whoever is killed when. Parts are collected in `.parts`.
    """

    def __init__(self, root: Path) -> None:
        """Use `root`, made when absent; raise StoreUnavailableError when that fails."""
        self._root = Path(os.path.realpath(root))
        self._temporary = self._root / ".tmp"
        with store_errors():
            self._temporary.mkdir(parents=True, exist_ok=True)
            self._parts = PartFiles(self._root / ".parts")
        self._directories = Directories(self._root)
        self._calls = BlockingCalls("filesystem-store", THREADS)
        self._links: Links | None = None

    async def put(self, key: str, data: Bytes | Path) -> PutResult:
        """See ObjectStore. Raises FileNotFoundError when `data` is a path that leads nowhere."""
        check_key(key)
        return await self._calls.run(self._put, key, data)

    async def head(self, key: str) -> ObjectInfo:
        """See ObjectStore."""
        check_key(key)
        return await self._calls.run(self._head, key)

    def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """See ObjectStore."""
        check_key(key)
        return self._calls.stream(self._blocks(key, start, end))

    async def delete(self, key: str) -> None:
        """See ObjectStore. Directories that become empty are removed."""
        check_key(key)
        await self._calls.run(self._delete, key)

    async def scan(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        """See ObjectStore."""
        check_prefix(prefix)
        async for infos in self._calls.stream(scan_tree(self._directories, prefix)):
            for info in infos:
                yield info

    def anticipate(self, key: str, begun: Callable[[bytes], None]) -> None:
        """See ObjectStore. Nobody is to be asked."""

    def local_path(self, key: str) -> Path | None:
        """See ObjectStore."""
        return self._root / check_key(key)

    async def begin_parts(self, key: str, *, signed: bool = False) -> str:
        """See ObjectStore."""
        check_key(key)
        return await self._calls.run(self._parts.begin)

    async def put_part(
        self, key: str, attempt: str, number: int, data: Bytes, sha256: bytes | None = None
    ) -> str:
        """See ObjectStore. The tag is the SHA-256 of the part, lower-case hex."""
        check_key(key)
        check_part(number, data)
        return await self._calls.run(self._parts.put, attempt, number, data, sha256)

    async def list_parts(self, key: str, attempt: str) -> list[PartInfo]:
        """See ObjectStore."""
        check_key(key)
        return await self._calls.run(self._parts.list, attempt)

    async def complete_parts(
        self,
        key: str,
        attempt: str,
        tags: list[str],
        last: Bytes = b"",
        *,
        digests: Sequence[bytes] = (),
    ) -> PutResult:
        """See ObjectStore."""
        check_key(key)
        if last:
            check_part(len(tags) + 1, last)
        return await self._calls.run(self._complete_parts, key, attempt, tags, last)

    async def abort_parts(self, key: str, attempt: str) -> None:
        """See ObjectStore."""
        check_key(key)
        await self._calls.run(self._parts.drop, attempt)

    async def presign_part(
        self,
        key: str,
        attempt: str,
        number: int,
        sha256: str,
        expires_s: float,
        *,
        size_bytes: int,
    ) -> SignedRequest:
        """See ObjectStore. The service that mounts `signed_http` answers."""
        check_part_number(number)
        until_s = int(time.time() + expires_s)
        grant = Grant("PUT", check_key(key), until_s, attempt, number, sha256, size_bytes)
        return (await self.links()).sign(grant)

    async def presign_get(self, key: str, expires_s: float) -> SignedRequest:
        """See ObjectStore. The service that mounts `signed_http` answers."""
        grant = Grant("GET", check_key(key), int(time.time() + expires_s))
        return (await self.links()).sign(grant)

    async def links(self) -> Links:
        """Return what signs and checks the links of this directory."""
        if self._links is None:
            self._links = Links(await self._calls.run(self._load_secret))
        return self._links

    async def sweep(self, older_than_s: float, keep: Container[str] = ()) -> int:
        """See ObjectStore. Age counts from the last write."""
        return await self._calls.run(self._sweep, older_than_s, keep)

    async def check(self) -> None:
        """See ObjectStore."""
        await self._calls.run(self._check)

    async def aclose(self) -> None:
        """See ObjectStore."""

    def _load_secret(self) -> bytes:
        with store_errors():
            return load_secret(self._root)

    def _put(self, key: str, data: Bytes | Path) -> PutResult:
        if not isinstance(data, Path):
            with store_errors():
                return self._store(key, data)
        with data.open("rb") as source, store_errors():
            return self._store(key, source)

    def _store(self, key: str, source: Bytes | BinaryIO) -> PutResult:
        with (
            suppress(ObjectMissingError, FileNotFoundError),
            self._directories.durable_parent(key) as (directory, name),
        ):
            return PutResult(describe(key, directory, name), created=False)
        temporary = self._temporary / uuid4().hex
        try:
            with temporary.open("xb") as file:
                if isinstance(source, bytes | memoryview):
                    file.write(source)
                else:
                    shutil.copyfileobj(source, file, COPY_BYTES)
                file.flush()
                os.fsync(file.fileno())
            return self._publish(temporary, key)
        finally:
            temporary.unlink(missing_ok=True)

    def _publish(self, file: Path, key: str) -> PutResult:
        """Give a finished file its name, unless that is taken."""
        for _ in range(PUBLISH_TRIES):
            with (
                suppress(FileNotFoundError, ObjectMissingError),
                self._directories.durable_parent(key) as (directory, name),
            ):
                created = link(file, directory, name)
                return PutResult(describe(key, directory, name), created)
        raise StoreUnavailableError(f"{key} could not be given its name")

    def _complete_parts(self, key: str, attempt: str, tags: list[str], last: Bytes) -> PutResult:
        with store_errors():
            try:
                with self._parts.joined(attempt, tags, last) as file:
                    result = self._publish(file, key)
            except AttemptMissingError as missing:
                try:
                    result = PutResult(self._head(key), created=False)
                except ObjectMissingError:
                    raise missing from None
            self._parts.drop(attempt)
            return result

    def _head(self, key: str) -> ObjectInfo:
        with store_errors(), self._directories.parent(key) as (directory, name):
            return describe(key, directory, name)

    def _blocks(self, key: str, start: int, end: int | None) -> Generator[bytes]:
        with store_errors(), self._directories.parent(key) as (directory, name):
            file = open_object(key, directory, name)
        try:
            while end is None or start < end:
                size = BLOCK_BYTES if end is None else min(BLOCK_BYTES, end - start)
                with store_errors():
                    block = os.pread(file, size, start)
                if not block:
                    return
                start += len(block)
                yield block
        finally:
            os.close(file)

    def _delete(self, key: str) -> None:
        with store_errors():
            with (
                suppress(ObjectMissingError, FileNotFoundError, IsADirectoryError),
                self._directories.parent(key) as (directory, name),
            ):
                os.unlink(name, dir_fd=directory)
            self._directories.prune(key)

    def _sweep(self, older_than_s: float, keep: Container[str]) -> int:
        with store_errors():
            before_s = time.time() - older_than_s
            return remove_older(self._temporary, before_s) + self._parts.sweep(before_s, keep)

    def _check(self) -> None:
        with store_errors():
            probe = self._temporary / uuid4().hex
            try:
                probe.write_bytes(b"?")
            finally:
                probe.unlink(missing_ok=True)
