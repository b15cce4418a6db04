"""Files made from packages (headers of downloads, playlists), gone with the process."""

import asyncio
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from reelay.common.storage import StoreUnavailableError
from reelay.content_api.adapters.cache_folder import remove
from reelay.content_api.domain.ports import StoredFile


class DerivedFiles:
    """Files in a folder that nobody else uses; see Derived."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count()

    async def write(self, blocks: Iterator[bytes]) -> StoredFile:
        """See Derived. The blocks are made and written in another thread."""
        path = str(self._folder / str(next(self._numbers)))
        try:
            return StoredFile(path, await asyncio.to_thread(_write, path, blocks))
        except OSError as error:
            remove(path)
            raise StoreUnavailableError(f"The cache cannot be written: {error}") from error

    def remove(self, file: StoredFile) -> None:
        """See Derived."""
        remove(file.path)


def _write(path: str, blocks: Iterator[bytes]) -> int:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        return sum(map(file.write, blocks))
