"""An upload that goes on keeps its parts, however long ago the store says that it began."""

from collections.abc import Container
from dataclasses import replace
from typing import Any

import pytest

from reelay.common.identity import new_id
from reelay.common.storage import AttemptMissingError, ObjectStore, read_all
from reelay.upload.domain.upload import Kind, State, Upload
from reelay.upload.handlers.creation import NewUpload

from .client import PART, asset_id_of, movie
from .conftest import BOTH_STORES
from .crashing import ADA, Bytes, World

pytestmark = [
    pytest.mark.integration,
    # SQLModel's advice on its own queries, marked as a deprecation; the outbox uses plain ones.
    pytest.mark.filterwarnings("ignore:(?s).*You probably want to use:DeprecationWarning"),
]

NINE_DAYS_S = 9 * 86400.0


class NineDaysLater:
    """A store to which everything unfinished is nine days older than it is."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def sweep(self, older_than_s: float, keep: Container[str] = ()) -> int:
        return await self._store.sweep(older_than_s - NINE_DAYS_S, keep)


@pytest.fixture
def later(world: World) -> World:
    store: Any = NineDaysLater(world.store)
    return replace(world, store=store)


@BOTH_STORES
async def test_upload_that_goes_on_keeps_its_parts_and_what_nobody_needs_goes(
    later: World, store_kind: str
) -> None:
    data, cut = movie(2 * PART + 1000), PART + 1000
    uploading, holding, sweeping = later.process()
    upload = await uploading.begin(ADA, NewUpload(len(data)))
    found = await uploading.receive(ADA, upload.id, 0, Bytes(data[:cut]))
    assert found.attempt is not None
    stray = await later.store.begin_parts("sources/stray")
    await sweeping.sweep()
    with pytest.raises(AttemptMissingError):
        await later.store.list_parts("sources/stray", stray)
    done = await uploading.receive(ADA, upload.id, cut, Bytes(data[cut:]))
    await holding.close()
    assert done.state is State.COMPLETE
    assert asset_id_of(await read_all(later.store, upload.source_key)) == asset_id_of(data)


@pytest.mark.parametrize("kind", Kind)
async def test_attempts_are_in_use_until_their_upload_ends(world: World, kind: Kind) -> None:
    uploading, holding, _ = world.process()
    uploads = uploading.uploads
    new = Upload(new_id(), "ada", PART + 1, kind=kind)
    begun = await uploads.begin(new)
    assert await uploads.attempts_in_use() == set()
    kept = await uploads.advance(begun, begun.moved_to(0, attempt="long ago"))
    assert await uploads.attempts_in_use() == {"long ago"}
    if kind is Kind.PARTIAL:
        kept = await uploads.note_stored(kept)
        assert await uploads.attempts_in_use() == {"long ago"}
    await uploads.end(kept, State.TERMINATED)
    assert await uploads.attempts_in_use() == set()
    await holding.close()
