"""What an encoder tries before it takes itself for able to work."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from reelay.common.storage import PutResult, StoreRefusesError, StoreUnavailableError
from reelay.common.storage.filesystem import FilesystemObjectStore
from reelay.common.storage.port import Bytes
from reelay.encoder.fitness import Fitness


class ReadOnlyStore(FilesystemObjectStore):
    """A store whose key may read, and no longer write."""

    is_open = True

    async def put(self, key: str, data: Bytes | Path) -> PutResult:
        """See ObjectStore."""
        if not self.is_open:
            raise StoreUnavailableError("AccessDenied")
        return await super().put(key, data)


class SourcelessStore(FilesystemObjectStore):
    """A store whose key may list, read and write, but not read sources."""

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """See ObjectStore."""
        if key.startswith("sources/"):
            raise StoreRefusesError("AccessDenied")
        async for block in super().read(key, start, end):
            yield block


async def encode_a_frame(provider: str) -> None:
    """Encode it."""


async def test_encoder_that_may_not_store_is_unfit_until_it_may(tmp_path: Path) -> None:
    store = ReadOnlyStore(tmp_path)
    await store.put("sources/one", b"film")
    fitness = Fitness(["software"], store, encode_a_frame)
    await fitness.check("software")
    store.is_open = False
    with pytest.raises(StoreUnavailableError, match="AccessDenied"):
        await fitness.check("software")
    assert fitness.providers == []
    store.is_open = True
    await fitness.check("software")
    assert fitness.providers == ["software"]
    assert [info.key async for info in store.scan("")] == ["sources/one"]


async def test_encoder_that_may_not_read_sources_is_unfit(tmp_path: Path) -> None:
    store = SourcelessStore(tmp_path)
    await store.put("sources/one", b"film")
    fitness = Fitness(["software"], store, encode_a_frame)
    with pytest.raises(StoreRefusesError, match="AccessDenied"):
        await fitness.check("software")
    assert fitness.providers == []
