"""Objects as files on this machine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from reelay.common.scratch import scratch
from reelay.common.storage import ObjectMissingError, ObjectStore


@asynccontextmanager
async def local_copy(store: ObjectStore, key: str) -> AsyncIterator[Path]:
    """Yield a file with the bytes of an object: the object itself, or a copy for the block.

    Raises ObjectMissingError when there is none.
    """
    path = store.local_path(key)
    if path is not None:
        if not path.exists():
            raise ObjectMissingError(f"{key} is not stored")
        yield path
        return
    with scratch("source") as folder:
        copy = folder / "source"
        with copy.open("wb") as out:
            async for block in store.read(key):
                out.write(block)
        yield copy
