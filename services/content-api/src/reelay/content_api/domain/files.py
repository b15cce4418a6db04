"""What the service needs of wherever the bytes are: files that the server can send by itself."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StoredFile:
    """The bytes of an object, in a file on this machine."""

    path: str
    size_bytes: int


class Files(Protocol):
    """Finds the file of an object. Both methods raise StoreUnavailableError."""

    def peek(self, key: str) -> StoredFile | None:
        """Return the file if that can be told at once, without waiting for anything."""
        ...

    async def find(self, key: str) -> StoredFile | None:
        """Return the file, or None when there is no such object."""
        ...
