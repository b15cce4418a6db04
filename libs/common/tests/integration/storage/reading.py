"""What the tests of the contract share."""

import random

from reelay.common.identity import PART_SIZE_BYTES
from reelay.common.storage import ObjectStore

FULL_PART = random.Random(1).randbytes(PART_SIZE_BYTES)


async def names(store: ObjectStore, prefix: str) -> list[str]:
    """Return the keys that a scan yields, in its order."""
    return [info.key async for info in store.scan(prefix)]


async def part_of(store: ObjectStore, key: str, start: int, end: int | None = None) -> bytes:
    """Return a range of an object."""
    return b"".join([block async for block in store.read(key, start, end)])
