"""Whether a store is the one that all share, and not a folder before anything is mounted there."""

from contextlib import aclosing

from reelay.common.storage.port import ObjectStore, StoreUnavailableError

SOURCES = "sources/"


async def assert_sources(store: ObjectStore) -> None:
    """Raise StoreUnavailableError when a store that should have a source has none at all."""
    async with aclosing(store.scan(SOURCES)) as found:  # type: ignore[type-var]  # a generator
        async for _ in found:
            return
    raise StoreUnavailableError("The store holds no source at all: is its folder mounted?")
