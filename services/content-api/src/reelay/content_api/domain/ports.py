"""What the service asks of the world outside."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Protocol

from reelay.common.content_access import Grant
from reelay.content_api.domain.access import Restriction
from reelay.content_api.domain.bodies import Body
from reelay.content_api.domain.names import ContentName
from reelay.content_api.domain.promises import Promises


@dataclass(frozen=True, slots=True)
class StoredFile:
    """The bytes of an object, in a file on this machine."""

    path: str
    size_bytes: int
    content: bytes | None = None
    """The bytes themselves, when they are few and often asked for."""


class Arriving(Protocol):
    """An object that is being fetched. Both methods raise StoreUnavailableError when that fails."""

    @property
    def size_bytes(self) -> int:
        """Size of the whole object."""
        ...

    @property
    def path(self) -> str:
        """The file that grows."""
        ...

    @property
    def beginning(self) -> bytes:
        """What has arrived first, if that need not be read from the file; else nothing."""
        ...

    async def arrived(self, position: int) -> int:
        """Return how many bytes may be read as soon as more than `position` may, or all.

        The last byte may be read only when the whole object was found right.
        """
        ...

    async def whole(self) -> StoredFile:
        """Return the complete file."""
        ...


Found = StoredFile | Arriving

MadeAgain = Callable[[str], None]
"""Hears the id of a package that was removed and made again with other bytes, unheard of here."""


class Files(Protocol):
    """Finds the file of an object. `peek` and `find` raise StoreUnavailableError."""

    def peek(self, key: str) -> StoredFile | None:
        """Return the file if that can be told at once, without waiting for anything."""
        ...

    def anticipate(self, key: str) -> None:
        """Do at once what `find`, which is called in a moment, would have to wait for."""
        ...

    async def find(self, key: str) -> Found | None:
        """Return the file, or None when there is no such object."""
        ...

    async def exists(self, key: str) -> bool:
        """Tell whether there is such an object, by one small question to the store.

        Raises StoreUnavailableError.
        """
        ...

    def forget(self, package_id: str) -> None:
        """Drop all that is kept of a package; never raises."""
        ...

    def when_made_again(self, tell: MadeAgain) -> None:
        """Let `tell` hear of packages that are found to have been made again."""
        ...


SHORT_BYTES = 128 * 1024
"""Bodies shorter than this are not worth a feed."""


class Feeds(Protocol):
    """Sends bodies that are not one finished file."""

    @property
    def full(self) -> bool:
        """Whether nothing more can be sent this way now."""
        ...

    async def send(self, body: Body, source: Found, answer: Callable[[str], None]) -> None:
        """Call `answer` with the path of a file that gives at least SHORT_BYTES of a body, in time.

        Returns when all was read, when the reader left or stalled, or when the object cannot be
        fetched to its end: the server then breaks the connection off, since bytes are missing.
        Raises OSError, and nothing else, before the answer.
        """
        ...

    async def read(self, body: Body, source: Found) -> bytes:
        """Return a short body. Raises StoreUnavailableError and OSError."""
        ...


class Digests(Protocol):
    """Tells what objects must be, by the index of their package."""

    def known(self, key: str) -> tuple[int, str] | None:
        """Return size in bytes and SHA-256 (lower-case hex) when that can be told at once."""
        ...

    async def of(self, key: str, *, max_age_s: float = inf) -> tuple[int, str] | None:
        """Return the same, asking the store; None when there is no index, or it says nothing.

        An index that was read longer ago than `max_age_s` is read anew. Raises
        StoreUnavailableError.
        """
        ...

    def forget(self, package_id: str) -> None:
        """Drop what was read."""
        ...

    def when_made_again(self, tell: MadeAgain) -> None:
        """Let `tell` hear of packages whose index is found to say something else, each once."""
        ...


class Plans(Protocol):
    """Tells what each package promises."""

    def known(self, package_id: str) -> Promises | None:
        """Return the promises if they were read before."""
        ...

    async def read(self, package_id: str) -> Promises | None:
        """Read the plan anew; None when there is none (yet, or any more).

        Raises PlanUnreadableError and StoreUnavailableError.
        """
        ...

    def forget(self, package_id: str) -> None:
        """Drop what was read."""
        ...


class Failures(Protocol):
    """Tells which packages cannot be made, and why."""

    def hear(self, package_id: str, reason: str) -> None:
        """Note that a package failed."""
        ...

    def forget(self, package_id: str) -> None:
        """Note that a package is being made (again)."""
        ...

    async def reason(self, package_id: str, *, max_age_s: float = 0.0) -> str | None:
        """Return why a package failed, or None when it did not. Raises StoreUnavailableError.

        That it did not may be what was found out before, up to an age in seconds.
        """
        ...


class Marks(Protocol):
    """Tells by the store which packages not everybody may fetch."""

    def known_open(self, package_id: str) -> bool:
        """Tell whether a package is open to all, if that was found out just now."""
        ...

    async def restriction(self, package_id: str) -> Restriction | None:
        """Return who may fetch a package; None when it is open to all.

        Raises StoreUnavailableError.
        """
        ...


class Tokens(Protocol):
    """Tells what tokens in paths are worth."""

    async def grant(self, token: str) -> Grant | None:
        """Return what a token allows or, when its time is over, allowed; None when it is none.

        Raises StoreUnavailableError when the key that made it cannot be read.
        """
        ...


class Demand(Protocol):
    """Asks for an object to be made soon."""

    async def tell(self, name: ContentName, viewer: str) -> None:
        """Tell it once, and for whom; lost when nobody listens. Never raises."""
        ...

    async def withdraw(self, name: ContentName, viewer: str) -> None:
        """Tell that a viewer left who was told of. As `tell`."""
        ...
