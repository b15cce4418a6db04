"""Small objects that are asked for often (playlists, init segments), in memory."""

from reelay.content_api.domain.eviction import Eviction
from reelay.content_api.domain.ports import StoredFile

SMALL_BYTES = 64 * 1024
"""The largest object that is kept in memory."""


class SmallObjects:
    """The bytes of small objects, as many as fit."""

    def __init__(self, max_bytes: int) -> None:
        self._files: dict[str, StoredFile] = {}
        self._eviction = Eviction(max_bytes)

    def get(self, name: str) -> StoredFile | None:
        """Return an object with its bytes if it is here."""
        file = self._files.get(name)
        if file is not None:
            self._eviction.use(name)
        return file

    def put(self, name: str, file: StoredFile) -> list[str]:
        """Keep an object with its bytes; return the names of those that were given up for it."""
        self.drop(name)
        self._files[name] = file
        self._eviction.add(name, file.size_bytes)
        dropped = self._eviction.shrink(lambda _: False)
        for given_up in dropped:
            del self._files[given_up]
        return dropped

    def below(self, prefix: str) -> list[str]:
        """Return the names that begin with `prefix`."""
        return [name for name in self._files if name.startswith(prefix)]

    def drop(self, name: str) -> None:
        """Forget an object."""
        if self._files.pop(name, None) is not None:
            self._eviction.remove(name)
