"""The process may die at any call to the store or the database: the client resumes, all is well."""

from itertools import pairwise

import pytest
import sqlalchemy as sa

from reelay.common.storage.port import read_all
from reelay.upload.domain.upload import State, Upload
from reelay.upload.handlers.creation import NewUpload

from .client import PART, asset_id_of, movie
from .crashing import ADA, Bytes, Crash, Fuse, World

pytestmark = [
    pytest.mark.integration,
    # SQLModel's advice on its own queries, marked as a deprecation; the outbox uses plain ones.
    pytest.mark.filterwarnings("ignore:(?s).*You probably want to use:DeprecationWarning"),
]


async def send_until_crash(world: World, upload: Upload, data: bytes, fuse: Fuse) -> bool:
    """Send a file in requests cut at odd places; return whether the process died meanwhile."""
    uploading, holding, _ = world.process(fuse)
    cuts = [0, *(cut for cut in (5000, PART + 70_000) if cut < len(data)), len(data)]
    try:
        for start, end in pairwise(cuts):
            await uploading.receive(ADA, upload.id, start, Bytes(data[start:end]))
    except Crash:
        return True
    finally:
        await holding.close()
    return False


@pytest.mark.parametrize("after_effect", [False, True])
@pytest.mark.parametrize("size_bytes", [100_000, 2 * PART + 1000])
async def test_upload_survives_a_crash_at_any_step(
    world: World, size_bytes: int, after_effect: bool
) -> None:
    crashed, step = True, 0
    while crashed:
        data = movie(size_bytes, seed=step)
        uploading, holding, sweeping = world.process()
        upload = await uploading.begin(ADA, NewUpload(len(data)))
        crashed = await send_until_crash(world, upload, data, Fuse(step, after_effect=after_effect))

        if step % 2:
            await sweeping.sweep()
        found = await uploading.look(ADA, upload.id)
        rest = Bytes(data[found.offset_bytes :])
        done = await uploading.receive(ADA, upload.id, found.offset_bytes, rest)
        await sweeping.sweep()
        await holding.close()

        assert done.state is State.COMPLETE
        assert asset_id_of(await read_all(world.store, upload.source_key)) == asset_id_of(data)
        assert await world.keys() == [upload.source_key], f"left after a crash at step {step}"
        facts = await world.announced()
        assert facts.count("events.asset.uploaded") == step + 1
        await world.store.delete(upload.source_key)
        step += 1
    assert step > 5, "the fuse was never lit"


async def test_sweep_finishes_an_upload_whose_client_never_returns(world: World) -> None:
    data = movie(PART + 1000)
    for step in range(100):
        uploading, holding, sweeping = world.process()
        upload = await uploading.begin(ADA, NewUpload(len(data)))
        if not await send_until_crash(world, upload, data, Fuse(step, after_effect=False)):
            break
        await sweeping.sweep()
        left = await uploading.uploads.find(upload.id)
        assert not left.waits_to_be_finished
        if left.state is State.COMPLETE:
            assert left.kept_key in await world.keys()
        await holding.close()
    await holding.close()
    assert (await world.announced()).count("events.asset.uploaded") >= 2


async def test_other_bytes_after_a_crash_are_what_is_stored(world: World) -> None:
    ours, theirs = movie(50_000, seed=1), movie(50_000, seed=2)
    uploading, holding, _ = world.process()
    upload = await uploading.begin(ADA, NewUpload(len(ours)))
    await world.store.put(upload.source_key, ours)
    await uploading.receive(ADA, upload.id, 0, Bytes(theirs))
    await holding.close()
    assert await read_all(world.store, upload.source_key) == theirs


async def test_expired_upload_is_removed_with_its_bytes(world: World) -> None:
    data = movie(2 * PART)
    uploading, holding, sweeping = world.process()
    upload = await uploading.begin(ADA, NewUpload(len(data)))
    await uploading.receive(ADA, upload.id, 0, Bytes(data[: PART + 1000]))
    await sweeping.sweep()
    assert await world.keys() != []
    async with world.database.transaction() as session:
        past = "UPDATE uploads SET updated_at = updated_at - interval '8 days'"
        await session.execute(sa.text(past))
    await sweeping.sweep()
    await holding.close()
    assert await world.keys() == []
    assert "events.asset.upload-terminated" in await world.announced()
    assert (await uploading.uploads.find(upload.id)).state is State.TERMINATED


async def test_upload_whose_parts_were_swept_ends_instead_of_failing_for_ever(
    world: World,
) -> None:
    data = movie(3 * PART)
    uploading, holding, _ = world.process()
    upload = await uploading.begin(ADA, NewUpload(len(data)))
    found = await uploading.receive(ADA, upload.id, 0, Bytes(data[: PART + 1000]))
    assert found.attempt is not None
    await world.store.abort_parts(upload.source_key, found.attempt)
    with pytest.raises(Exception, match="lost"):
        await uploading.receive(ADA, upload.id, PART + 1000, Bytes(data[PART + 1000 :]))
    await holding.close()
    assert (await uploading.uploads.find(upload.id)).state is State.TERMINATED
    assert await world.keys() == []
