"""Objects as files on this machine."""

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

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
    folder = Path(tempfile.mkdtemp(prefix="reelay-source-"))
    try:
        copy = folder / "source"
        with copy.open("wb") as out:
            async for block in store.read(key):
                out.write(block)
        yield copy
    finally:
        shutil.rmtree(folder, ignore_errors=True)
