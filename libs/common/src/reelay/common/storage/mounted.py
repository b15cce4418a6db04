"""Whether a store is the one that all share, and not a folder before anything is mounted there."""

from contextlib import aclosing

from reelay.common.storage.port import ObjectStore, StoreUnavailableError

IN_USE = ("keys/", "sources/")
"""A store that a catalog knows has its public key, also when all films are deleted."""


async def assert_in_use(store: ObjectStore) -> None:
    """Raise StoreUnavailableError when a store that must hold something holds nothing."""
    for prefix in IN_USE:
        async with aclosing(store.scan(prefix)) as found:  # type: ignore[type-var]  # a generator
            async for _ in found:
                return
    raise StoreUnavailableError("The store is empty: is its folder mounted?")
