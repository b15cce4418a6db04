"""A store works that takes objects and gives them back; one damaged object says nothing of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from reelay.common.storage import (
    ObjectStore,
    PutResult,
    StoreRefusesError,
    StoreUnavailableError,
    assert_works,
)
from reelay.common.storage.directories import store_errors
from reelay.common.storage.filesystem import FilesystemObjectStore
from reelay.common.storage.port import Bytes

pytestmark = pytest.mark.integration

DAMAGED = StoreUnavailableError("a volume is lost")
REFUSED = StoreRefusesError("AccessDenied")


class SickStore(FilesystemObjectStore):
    """A store that fails at objects whose keys start as told."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.unreadable: dict[str, Exception] = {}
        self.unwritable: dict[str, Exception] = {}

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """See ObjectStore."""
        _fail(key, self.unreadable)
        async for block in super().read(key, start, end):
            yield block

    async def put(self, key: str, data: Bytes | Path) -> PutResult:
        """See ObjectStore."""
        _fail(key, self.unwritable)
        return await super().put(key, data)


def _fail(key: str, failing: dict[str, Exception]) -> None:
    for start, error in failing.items():
        if key.startswith(start):
            raise error


@pytest.fixture
async def sick(tmp_path: Path) -> SickStore:
    """A store with sources, which is well until told."""
    store = SickStore(tmp_path)
    for number in range(5):
        await store.put(f"sources/{number}", b"film")
    return store


async def test_store_that_gives_and_takes_works_and_keeps_nothing_of_the_trial(
    store: ObjectStore,
) -> None:
    await store.put("sources/one", b"film")
    await assert_works(store)
    assert [info.key async for info in store.scan("")] == ["sources/one"]


@pytest.mark.parametrize("error", [DAMAGED, REFUSED])
@pytest.mark.parametrize("prefix", ["staging/", "sources/"])
async def test_store_that_gives_nothing_back_does_not_work(
    sick: SickStore, prefix: str, error: Exception
) -> None:
    sick.unreadable[prefix] = error
    with pytest.raises(type(error), match=str(error)):
        await assert_works(sick)
    assert [info.key async for info in sick.scan("staging/")] == []


async def test_store_that_takes_nothing_does_not_work(sick: SickStore) -> None:
    sick.unwritable["staging/"] = REFUSED
    with pytest.raises(StoreRefusesError):
        await assert_works(sick)


@pytest.mark.parametrize("error", [DAMAGED, REFUSED])
async def test_store_works_of_whose_sources_some_can_be_read(
    sick: SickStore, error: Exception
) -> None:
    sick.unreadable |= {"sources/0": error, "sources/1": error}
    await assert_works(sick)


async def test_only_source_that_cannot_be_read_is_damaged_but_one_that_is_refused_is_not(
    sick: SickStore,
) -> None:
    for number in range(1, 5):
        await sick.delete(f"sources/{number}")
    sick.unreadable["sources/0"] = DAMAGED
    await assert_works(sick)
    sick.unreadable["sources/0"] = REFUSED
    with pytest.raises(StoreRefusesError):
        await assert_works(sick)


def test_permission_that_is_denied_is_a_refusal() -> None:
    with pytest.raises(StoreRefusesError, match="denied"), store_errors():
        raise PermissionError("denied")
