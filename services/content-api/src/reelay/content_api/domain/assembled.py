"""A file that is put together from a header and the objects of a package while it is read."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from reelay.common.storage import StoreUnavailableError
from reelay.content_api.domain.bodies import Body
from reelay.content_api.domain.layout import HEADER, Layout, Slice
from reelay.content_api.domain.ports import Files, Found, StoredFile
from reelay.content_api.domain.ranges import ByteRange


@dataclass(frozen=True, slots=True)
class Assembled:
    """The file: nothing of it is stored but its header."""

    package_id: str
    layout: Layout
    header: StoredFile
    files: Files
    when_wrong: Callable[[], None]
    """Called when a part has not the size that the header was made for."""

    @property
    def size_bytes(self) -> int:
        """Size of the whole file."""
        return self.layout.size_bytes

    def slices(self, asked: ByteRange) -> Iterator[Slice]:
        """Yield the pieces of which some bytes of the file consist."""
        return self.layout.slices(asked)

    async def open(self, part: int) -> Found:
        """Return a part; raise StoreUnavailableError when it is not what it was.

        May be called ahead, so that the part is there when it is needed.
        """
        if part == HEADER:
            return self.header
        path = self.layout.object_path(part)
        found = await self.files.find(f"packages/{self.package_id}/{path}")
        if found is None:
            raise StoreUnavailableError(f"{path} is gone")
        if found.size_bytes != self.layout.size_of(part):
            self.when_wrong()
            raise StoreUnavailableError(f"{path} is of another size")
        return found


class AssembledFeeds(Protocol):
    """Sends bodies of assembled files; see Feeds."""

    @property
    def full(self) -> bool:
        """Whether nothing more can be sent this way now."""
        ...

    async def send(self, body: Body, source: Assembled, answer: Callable[[str], None]) -> None:
        """Send a body of at least SHORT_BYTES; see Feeds. StoreUnavailableError before the answer.

        Breaks the connection off when a part cannot be had to its end.
        """
        ...

    async def read(self, body: Body, source: Assembled) -> bytes:
        """Return a short body. Raises StoreUnavailableError and OSError."""
        ...


class Package(Protocol):
    """A whole package in the store. Every method raises StoreUnavailableError."""

    def size_of(self, path: str) -> int:
        """Return an object's size in bytes, as the index says; raise DamagedSegmentError."""
        ...

    async def read(self, path: str) -> bytes:
        """Return a small object, compared with the index; raise DamagedSegmentError."""
        ...

    async def start(self, path: str, size_bytes: int) -> bytes:
        """Return the first bytes of an object; raise DamagedSegmentError when it is not there."""
        ...


class Packages(Protocol):
    """Opens packages."""

    async def open(self, package_id: str) -> Package | None:
        """Return a package; None when it is not whole. Raises StoreUnavailableError."""
        ...


class Derived(Protocol):
    """Keeps what was made from packages."""

    async def write(self, blocks: Iterator[bytes]) -> StoredFile:
        """Write a file. Raises StoreUnavailableError when there is no room."""
        ...

    def remove(self, file: StoredFile) -> None:
        """Remove a file; that it is not there is no error."""
        ...
