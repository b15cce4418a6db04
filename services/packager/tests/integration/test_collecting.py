"""Collection against real servers: what is needed stays, whatever happens meanwhile."""

import asyncio
import signal
import subprocess
import sys
from contextlib import suppress
from uuid import uuid4

import pytest

from reelay.common.commands import EncodeChunk
from reelay.common.events import PackageRemoved, PackageRequested, VideoDeleted
from reelay.common.upkeep import CollectionRunningError, Removal, collecting_alone
from reelay.packager.adapters import repository
from reelay.packager.handlers.collecting import Collecting

from .house import House

pytestmark = pytest.mark.integration

ASSET = "a" * 64

COLLECT_AND_HANG = """
import asyncio, sys
from reelay.common.database import Database
from reelay.common.messaging import Messaging
from reelay.common.outbox import Outbox
from reelay.common.storage import open_store
from reelay.packager.handlers.collecting import Collecting

async def main() -> None:
    database_url, store_url = sys.argv[1:]
    database, store = Database(database_url), open_store(store_url)
    delete, deleted = store.delete, 0

    async def delete_some(key: str) -> None:
        nonlocal deleted
        if deleted == 5:
            print("hangs", flush=True)
            await asyncio.Event().wait()
        deleted += 1
        await delete(key)

    store.delete = delete_some
    outbox = Outbox(database, Messaging("nats://127.0.0.1:1", "packager"))
    async for _ in Collecting(database, outbox, store, 0).collect():
        pass

asyncio.run(main())
"""


def collecting(house: House, grace_s: float = 0) -> Collecting:
    return Collecting(house.database, house.outbox, house.store, grace_s)


async def collected(house: House, grace_s: float = 0, *, dry_run: bool = False) -> list[Removal]:
    return [r async for r in collecting(house, grace_s).collect(dry_run=dry_run)]


async def delete(house: House, video_id: object) -> None:
    fact = VideoDeleted(video_id=video_id, owner_id="a")  # type: ignore[arg-type]
    await house.planning().forget_video(fact)


async def killed_in_the_middle(database_url: str, store_url: str) -> None:
    """Begin a collection in a process of its own and kill that when five objects are gone."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", COLLECT_AND_HANG, database_url, store_url, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            assert await process.stdout.readline() == b"hangs\n"
    finally:
        process.kill()
        assert await process.wait() == -signal.SIGKILL


async def half_removed(house: House, database_url: str, store_url: str) -> str:
    """Make a package that a killed collection removed some objects of; return its id."""
    package_id, video = await house.request(ASSET)
    await house.make_all()
    await delete(house, video)
    await killed_in_the_middle(database_url, store_url)
    await its_lock_is_gone(house)
    return package_id


async def its_lock_is_gone(house: House) -> None:
    """Return when the server has noticed that the client was killed."""
    async with asyncio.timeout(30):
        while True:
            with suppress(CollectionRunningError):
                async with collecting_alone(house.database):
                    return
            await asyncio.sleep(0.05)


async def test_package_of_two_owners_stays_until_both_have_deleted_their_videos(
    any_house: House,
) -> None:
    package_id, first = await any_house.request(ASSET, "a")
    same, second = await any_house.request(ASSET, "b")
    assert same == package_id
    await any_house.make_all()
    assert await any_house.state(package_id) == repository.COMPLETE
    await delete(any_house, first)
    assert await collected(any_house) == []
    await delete(any_house, second)
    await delete(any_house, second)
    assert await collected(any_house, grace_s=3600) == []
    would = await collected(any_house, dry_run=True)
    assert [(r.kind, r.name, r.removed) for r in would] == [("package", package_id, False)]
    stored = await any_house.stored("packages/")
    assert len(stored) == would[0].objects
    done = await collected(any_house)
    assert [(r.kind, r.name, r.removed) for r in done] == [("package", package_id, True)]
    assert await any_house.stored("packages/") == []
    assert await any_house.state(package_id) is None
    assert await any_house.announced(PackageRemoved) == 1
    assert await collected(any_house) == []


async def test_package_whose_video_came_back_within_the_grace_period_is_kept(house: House) -> None:
    package_id, first = await house.request(ASSET)
    await house.make_all()
    await delete(house, first)
    await house.request(ASSET, "b")
    assert await collected(house) == []
    assert await house.state(package_id) == repository.COMPLETE


async def test_package_that_is_being_encoded_is_kept_with_its_staged_segments(
    any_house: House,
) -> None:
    package_id, _ = await any_house.request(ASSET)
    tasks = await any_house.work()
    for task in tasks:
        await any_house.store.put(staged(task), b"segment")
    before = await any_house.stored("")
    assert await collected(any_house) == []
    assert await any_house.stored("") == before
    for task in tasks:
        await any_house.make(task)
    await any_house.make_all()
    assert await any_house.state(package_id) == repository.COMPLETE
    assert {r.kind for r in await collected(any_house)} == {"staging"}
    assert await any_house.stored("staging/") == []


def staged(task: EncodeChunk) -> str:
    return f"staging/{task.package_id}/{task.task_id}-1/360p-1.mp4"


async def test_encode_of_one_film_goes_on_while_another_is_collected(any_house: House) -> None:
    old, video = await any_house.request(ASSET)
    await any_house.make_all()
    await delete(any_house, video)
    new, _ = await any_house.request("b" * 64)

    async def encode() -> None:
        await any_house.make_all()

    removed, _ = await asyncio.gather(collected(any_house), encode())
    assert [r.name for r in removed if r.kind == "package"] == [old]
    assert await any_house.state(new) == repository.COMPLETE
    assert await any_house.stored(f"packages/{old}/") == []


async def test_collection_killed_in_the_middle_is_finished_by_the_next(
    any_house: House, database_url: str, any_store_url: str
) -> None:
    package_id = await half_removed(any_house, database_url, any_store_url)
    assert await any_house.stored("packages/") != []
    assert await any_house.state(package_id) == repository.CONDEMNED
    assert [r.name for r in await collected(any_house, grace_s=3600)] == [package_id]
    assert await any_house.stored("packages/") == []
    assert await any_house.state(package_id) is None


async def test_video_that_needs_a_half_removed_package_gets_a_whole_one(
    any_house: House, database_url: str, any_store_url: str
) -> None:
    package_id = await half_removed(any_house, database_url, any_store_url)
    again, _ = await any_house.request(ASSET, "b")
    assert again == package_id
    assert await any_house.state(package_id) == repository.PLANNED
    await any_house.make_all()
    assert await any_house.state(package_id) == repository.COMPLETE
    assert await collected(any_house) == []
    names = await any_house.stored(f"packages/{package_id}/")
    for name in ("plan.json", "master.m3u8", "manifest.mpd", "index.json"):
        assert f"packages/{package_id}/{name}" in names


async def test_video_that_comes_while_its_package_is_removed_waits_and_gets_a_whole_one(
    house: House,
) -> None:
    package_id, video = await house.request(ASSET)
    await house.make_all()
    await delete(house, video)
    begun, go_on = asyncio.Event(), asyncio.Event()
    remove = house.store.delete

    async def slowly(key: str) -> None:
        begun.set()
        await go_on.wait()
        await remove(key)

    house.store.delete = slowly  # type: ignore[method-assign]  # the store is this test's own
    collection = asyncio.create_task(collected(house))
    await begun.wait()
    request = asyncio.create_task(house.request(ASSET, "b"))
    done, _ = await asyncio.wait({request}, timeout=0.5)
    assert not done
    go_on.set()
    await collection
    await request
    assert await house.state(package_id) == repository.PLANNED
    assert f"packages/{package_id}/plan.json" in await house.stored("packages/")


async def test_of_two_collections_at_a_time_one_is_told_so(house: House) -> None:
    await house.store.put("packages/stray/1.m4s", b"x")
    await house.store.put("packages/strays/1.m4s", b"x")
    first = collecting(house).collect()
    assert (await anext(first)).name == "packages/stray"
    with pytest.raises(CollectionRunningError):
        await collected(house)
    await first.aclose()
    assert [r.name for r in await collected(house)] == ["packages/strays"]


async def test_lock_of_a_cancelled_collection_is_free_again(house: House) -> None:
    await house.store.put("packages/stray/1.m4s", b"x")

    begun = asyncio.Event()

    async def begin() -> None:
        async for _ in collecting(house).collect(dry_run=True):
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(begin())
    await asyncio.wait_for(begun.wait(), 20)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with asyncio.timeout(20):
        while True:
            try:
                assert len(await collected(house)) == 1
            except CollectionRunningError:
                await asyncio.sleep(0.05)
            else:
                return


async def test_deletion_heard_before_the_request_leaves_nothing_behind(house: House) -> None:
    video_id = uuid4()
    await delete(house, video_id)
    request = PackageRequested(
        video_id=video_id, owner_id="a", asset_id=ASSET, source_key="sources/a"
    )
    await house.planning().plan_package(request)
    assert await house.stored("") == []
    assert await house.work() == []


async def test_strays_are_removed_after_the_grace_period_and_nothing_of_other_services(
    any_house: House,
) -> None:
    strays = [
        "packages/stray/video/360p/1.m4s",
        "rewritten/unused.mp4",
        f"staging/{ASSET}/{uuid4()}-1/360p-1.mp4",
        f"staging/{ASSET}/odd/360p-1.mp4",
    ]
    others = ["keys/k.json", "sources/s", "staging/uploads/u/tail"]
    for key in (*strays, *others):
        await any_house.store.put(key, b"x")
    assert await collected(any_house, grace_s=3600) == []
    assert len(await collected(any_house)) == len(strays)
    assert await any_house.stored("") == sorted(others)


async def test_rewritten_source_stays_while_a_package_is_made_of_it(house: House) -> None:
    key = f"rewritten/{ASSET}.mp4"
    await house.store.put(key, b"film")
    _, video = await house.request(ASSET, rewritten=key)
    assert await collected(house) == []
    await house.make_all()
    await delete(house, video)
    assert {r.kind for r in await collected(house)} == {"package", "rewritten"}
    assert await house.stored("") == []
