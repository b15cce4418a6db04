"""Whether a store gives and takes objects, tried with some."""

import random
from contextlib import aclosing
from uuid import uuid4

from reelay.common.storage.mounted import assert_in_use
from reelay.common.storage.port import (
    ObjectMissingError,
    ObjectStore,
    StoreRefusesError,
    StoreUnavailableError,
    read_all,
)

PROBES = "staging/fitness"
"""What is left here by a process that died meanwhile is collected like all that is staged."""
SOURCES = "sources/"
LOOKED_AT = 100
TRIED = 3
"""So few that a store that fails at each is not taken for one that fails (breaker.THRESHOLD)."""


async def assert_works(store: ObjectStore) -> None:
    """Return when a store takes objects and gives them back, sources too; raise what it fails with.

    One object that cannot be read says nothing of the store.
    """
    await store.check()
    await assert_in_use(store)
    await _try_to_stage(store)
    await _try_to_read_sources(store)


async def _try_to_stage(store: ObjectStore) -> None:
    """Store an object, read it and delete it: a key may be allowed to do one of these alone."""
    key = f"{PROBES}/{uuid4().hex}/probe"
    await store.put(key, b"x")
    try:
        await read_all(store, key)
    finally:
        await store.delete(key)


async def _try_to_read_sources(store: ObjectStore) -> None:
    """Raise StoreUnavailableError when sources cannot be read, as far as a few of them tell.

    Which ones is left to chance, so that the next trial does not depend on the same.
    """
    failures = list[StoreUnavailableError]()
    for key in await _some_sources(store):
        try:
            async with aclosing(store.read(key, 0, 1)) as blocks:  # type: ignore[type-var]  # a generator
                async for _ in blocks:
                    pass
            return
        except ObjectMissingError:  # deleted meanwhile
            return
        except StoreUnavailableError as error:
            failures.append(error)
    if len(failures) > 1 or any(isinstance(error, StoreRefusesError) for error in failures):
        raise failures[0]


async def _some_sources(store: ObjectStore) -> list[str]:
    """Return the keys of up to TRIED sources."""
    keys = list[str]()
    async with aclosing(store.scan(SOURCES)) as found:  # type: ignore[type-var]  # a generator
        async for info in found:
            keys.append(info.key)
            if len(keys) == LOOKED_AT:
                break
    return random.sample(keys, min(TRIED, len(keys)))
