"""What the service asks of the world outside."""

from dataclasses import dataclass
from typing import Protocol

from reelay.content_api.domain.names import ContentName
from reelay.content_api.domain.promises import Promises


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


class Failures(Protocol):
    """Tells which packages cannot be made, and why."""

    def hear(self, package_id: str, reason: str) -> None:
        """Note that a package failed."""
        ...

    def forget(self, package_id: str) -> None:
        """Note that a package is being made (again)."""
        ...

    async def reason(self, package_id: str) -> str | None:
        """Return why a package failed, or None when it did not. Raises StoreUnavailableError."""
        ...


class Demand(Protocol):
    """Asks for an object to be made soon."""

    async def tell(self, name: ContentName, viewer: str) -> None:
        """Tell it once, and for whom; lost when nobody listens. Never raises."""
        ...
