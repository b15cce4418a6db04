"""A store, a packager and clients for the waiting room."""

import asyncio

from reelay.common.storage import StoreUnavailableError
from reelay.content_api.domain.names import ContentName
from reelay.content_api.domain.ports import StoredFile
from reelay.content_api.handlers.waiting import ClientGone


class Shelf:
    """What exists, and who asked."""

    def __init__(self) -> None:
        self.file: StoredFile | None = None
        self.error: Exception | None = None
        self.looks = 0
        self.glances = 0
        self.looking = asyncio.Event()

    async def look(self, _: ContentName) -> StoredFile | None:
        """Tell what lay there when it was asked for."""
        self.looks += 1
        self.looking.set()
        seen = self.file
        await asyncio.sleep(0.01)
        if self.error:
            raise self.error
        return seen

    async def glance(self, name: ContentName) -> bool:
        """Tell whether something lies there, or is to be told."""
        self.glances += 1
        if isinstance(self.error, StoreUnavailableError):
            raise self.error
        return bool(self.file or self.error)


class NotedDemand:
    """What was demanded, and in whose names."""

    def __init__(self) -> None:
        self.told: list[ContentName] = []
        self.viewers: list[str] = []
        self.withdrawn: list[tuple[ContentName, str]] = []

    async def tell(self, name: ContentName, viewer: str) -> None:
        """Note it."""
        self.told.append(name)
        self.viewers.append(viewer)

    async def withdraw(self, name: ContentName, viewer: str) -> None:
        """Note it."""
        self.withdrawn.append((name, viewer))


async def never() -> None:
    """Be a client that stays."""
    await asyncio.Event().wait()


def leaves(event: asyncio.Event) -> ClientGone:
    """Return a client that stays until an event."""

    async def gone() -> None:
        await event.wait()

    return gone
