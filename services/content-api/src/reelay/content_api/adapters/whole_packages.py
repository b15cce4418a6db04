"""Packages that are whole: what their index lists, read from the store itself.

Heads of segments do not go through the cache: it would fetch whole segments for them.
"""

import asyncio
import hashlib
from collections.abc import Mapping

from pydantic import ValidationError

from reelay.common.storage import ObjectMissingError, ObjectStore, read_all
from reelay.content_api.adapters.digests import MAX_INDEX_BYTES, IndexDocument, IndexEntry
from reelay.content_api.domain.mp4_boxes import DamagedSegmentError
from reelay.content_api.domain.names import INDEX


class WholePackage:
    """A package with an index; see Package."""

    def __init__(
        self, store: ObjectStore, package_id: str, objects: Mapping[str, IndexEntry]
    ) -> None:
        self._store = store
        self._folder = f"packages/{package_id}"
        self._objects = objects

    def size_of(self, path: str) -> int:
        """See Package."""
        return self._entry(path).size

    async def read(self, path: str) -> bytes:
        """See Package."""
        entry = self._entry(path)
        try:
            content = await read_all(self._store, f"{self._folder}/{path}")
        except ObjectMissingError as error:
            raise DamagedSegmentError(f"{path} is gone") from error
        if len(content) != entry.size or hashlib.sha256(content).hexdigest() != entry.sha256:
            raise DamagedSegmentError(f"{path} is not what the package's index says")
        return content

    async def start(self, path: str, size_bytes: int) -> bytes:
        """See Package."""
        content = b""
        try:
            async for block in self._store.read(f"{self._folder}/{path}", 0, size_bytes):
                content += block
        except ObjectMissingError as error:
            raise DamagedSegmentError(f"{path} is gone") from error
        if len(content) < size_bytes:
            raise DamagedSegmentError(f"{path} is shorter than the package's index says")
        return content

    def _entry(self, path: str) -> IndexEntry:
        entry = self._objects.get(path)
        if entry is None:
            raise DamagedSegmentError(f"{path} is missing from the package's index")
        return entry


class StoredPackages:
    """Packages of a store; see Packages."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def open(self, package_id: str) -> WholePackage | None:
        """See Packages. Raises DamagedSegmentError when the index makes no sense."""
        try:
            body = await read_all(self._store, f"packages/{package_id}/{INDEX}")
        except ObjectMissingError:
            return None
        if len(body) > MAX_INDEX_BYTES:
            raise DamagedSegmentError("The package's index is too large")
        try:
            document = await asyncio.to_thread(IndexDocument.model_validate_json, body)
        except ValidationError as error:
            raise DamagedSegmentError("The package's index is damaged") from error
        return WholePackage(self._store, package_id, document.objects)
