"""Damage is found by verifying, and repaired without giving any path other bytes."""

import pytest

from reelay.common.events import PackagePlanned, SegmentFailed, SegmentReady, TranscodeCompleted
from reelay.common.storage import read_all
from reelay.common.upkeep import Verdict
from reelay.packager.adapters import references, repository
from reelay.packager.adapters.tables import ObjectRow
from reelay.packager.handlers.packaging import OtherBytesError, check_against_record
from reelay.packager.handlers.repairing import Repairing
from reelay.packager.handlers.verifying import Verifying

from .house import House

pytestmark = pytest.mark.integration

ASSET = "a" * 64


async def verified(house: House, *names: str, repair: bool = False) -> list[Verdict]:
    repairing = Repairing(house.outbox, house.store, house.dispatcher)
    verifying = Verifying(house.outbox, house.store, repairing)
    return [verdict async for verdict in verifying.verify(names, repair=repair)]


async def complete(house: House) -> str:
    package_id, _ = await house.request(ASSET)
    await house.make_all()
    return package_id


async def damage(house: House, package_id: str, path: str) -> bytes:
    """Change the first byte of an object; return what it was."""
    key = f"packages/{package_id}/{path}"
    whole = await read_all(house.store, key)
    await house.store.delete(key)
    await house.store.put(key, bytes([whole[0] ^ 1]) + whole[1:])
    return whole


async def test_whole_package_is_found_whole(any_house: House) -> None:
    package_id = await complete(any_house)
    [verdict] = await verified(any_house)
    assert (verdict.kind, verdict.name, verdict.damaged) == ("package", package_id, [])
    assert verdict.objects > 20


async def test_every_kind_of_damage_is_found_and_named(any_house: House) -> None:
    package_id = await complete(any_house)
    folder = f"packages/{package_id}"
    await damage(any_house, package_id, "video/360p/3.m4s")
    await damage(any_house, package_id, "index.json")
    await any_house.store.delete(f"{folder}/audio/main/init.mp4")
    await any_house.store.delete(f"{folder}/video/360p/1.m4s")
    await any_house.store.put(f"{folder}/video/360p/1.m4s", b"short")
    [verdict] = await verified(any_house, package_id)
    found = {d.path: d.problem for d in verdict.damaged}
    assert set(found) == {
        "video/360p/3.m4s", "index.json", "audio/main/init.mp4", "video/360p/1.m4s",
    }  # fmt: skip
    assert found["audio/main/init.mp4"] == "is missing"
    assert "bytes instead of" in found["video/360p/1.m4s"]
    assert "SHA-256" in found["video/360p/3.m4s"]
    assert await verified(any_house, "f" * 64) == []


async def test_damaged_manifests_and_index_are_composed_again(any_house: House) -> None:
    package_id = await complete(any_house)
    paths = ("plan.json", "master.m3u8", "manifest.mpd", "index.json")
    whole = {path: await damage(any_house, package_id, path) for path in paths}
    [verdict] = await verified(any_house, repair=True)
    assert verdict.repair == "restored"
    for path, body in whole.items():
        assert await read_all(any_house.store, f"packages/{package_id}/{path}") == body
    assert (await verified(any_house))[0].damaged == []
    assert await any_house.work() == []


async def lose(house: House, package_id: str, path: str) -> None:
    """Change the database's list of a package's objects."""
    async with house.outbox.transaction() as tx:
        row = await tx.session.get(ObjectRow, (package_id, path))
        assert row is not None
        await tx.session.delete(row)
        other = ObjectRow(package_id=package_id, path="video/360p/999.m4s", size_bytes=1, sha256="")
        tx.session.add(other)


async def test_list_of_objects_that_the_database_lost_is_taken_from_the_index(
    any_house: House,
) -> None:
    package_id = await complete(any_house)
    key = f"packages/{package_id}/index.json"
    before = await read_all(any_house.store, key)
    await lose(any_house, package_id, "video/360p/7.m4s")
    [verdict] = await verified(any_house, repair=True)
    assert verdict.repair == "restored"
    assert await read_all(any_house.store, key) == before
    assert (await verified(any_house))[0].damaged == []


async def test_package_whose_list_nobody_has_is_replaced(any_house: House) -> None:
    package_id = await complete(any_house)
    await lose(any_house, package_id, "video/360p/7.m4s")
    await damage(any_house, package_id, "index.json")
    [verdict] = await verified(any_house, repair=True)
    assert verdict.repair == "replaced"
    assert await any_house.state(package_id) == repository.SUPERSEDED


async def test_damaged_segment_is_made_again_in_the_chunk_that_made_it(any_house: House) -> None:
    package_id = await complete(any_house)
    whole = await damage(any_house, package_id, "video/360p/7.m4s")
    await any_house.announced(TranscodeCompleted)
    [verdict] = await verified(any_house, repair=True)
    assert (verdict.repair, len(verdict.damaged)) == ("encoding", 1)
    [task] = await any_house.work()
    assert [o.rendition for o in task.video] == ["360p"]
    assert task.audio_rendition is None
    assert [s.number for s in task.segments] == [4, 5, 6, 7]
    assert await verified(any_house) == []
    await any_house.make(task)
    assert await any_house.state(package_id) == repository.COMPLETE
    assert await any_house.announced(TranscodeCompleted) == 1
    assert (await verified(any_house))[0].damaged == []
    assert await read_all(any_house.store, f"packages/{package_id}/video/360p/7.m4s") == whole


async def test_package_that_was_seen_whole_before_its_repair_began_is_not_completed(
    any_house: House,
) -> None:
    package_id = await complete(any_house)
    await damage(any_house, package_id, "video/360p/7.m4s")
    await verified(any_house, repair=True)
    await any_house.books.complete(package_id)
    assert await any_house.state(package_id) == repository.PLANNED
    assert f"packages/{package_id}/index.json" not in await any_house.stored("packages/")
    await any_house.make_all()
    assert await any_house.state(package_id) == repository.COMPLETE


async def test_damaged_init_segment_comes_with_the_first_segment(house: House) -> None:
    package_id = await complete(house)
    whole = await damage(house, package_id, "video/360p/init.mp4")
    assert (await verified(house, repair=True))[0].repair == "encoding"
    await house.make_all()
    assert (await verified(house))[0].damaged == []
    assert await read_all(house.store, f"packages/{package_id}/video/360p/init.mp4") == whole


async def test_repair_that_gives_other_bytes_is_refused_and_the_package_replaced(
    any_house: House,
) -> None:
    package_id = await complete(any_house)
    _, second = await any_house.request(ASSET, "b")
    await damage(any_house, package_id, "video/360p/7.m4s")
    await verified(any_house, repair=True)
    [task] = await any_house.work()
    ready = SegmentReady(
        task_id=task.task_id, package_id=package_id, rendition="360p", number=7,
        lane=task.lane, staging_key="staging/x", size_bytes=1,
    )  # fmt: skip
    [missing], packages = await any_house.books.wanted([ready])
    assert missing == ready
    package = packages[package_id]
    with pytest.raises(OtherBytesError):
        check_against_record(package, {"video/360p/7.m4s": b"other"})
    await any_house.announced(PackagePlanned)
    repairing = Repairing(any_house.outbox, any_house.store, any_house.dispatcher)
    await repairing.replace(package_id)
    await repairing.replace(package_id)
    successor = package.plan.next_edition().package_id
    assert await any_house.state(package_id) == repository.SUPERSEDED
    async with any_house.outbox.transaction() as tx:
        assert await references.references(tx.session, package_id) == []
        assert second in await references.references(tx.session, successor)
    await any_house.make_all()
    assert await any_house.state(successor) == repository.COMPLETE
    assert [v.name for v in await verified(any_house)] == [successor]
    _, third = await any_house.request(ASSET, "c")
    async with any_house.outbox.transaction() as tx:
        assert third in await references.references(tx.session, successor)


async def test_videos_of_a_replaced_package_are_told_of_its_successor(house: House) -> None:
    package_id = await complete(house)
    await house.request(ASSET, "b")
    await damage(house, package_id, "video/360p/7.m4s")
    await verified(house, repair=True)
    await house.announced(PackagePlanned)
    await Repairing(house.outbox, house.store, house.dispatcher).replace(package_id)
    assert await house.announced(PackagePlanned) == 2


async def test_repair_that_fails_leaves_the_package_for_what_is_left_of_it(house: House) -> None:
    package_id = await complete(house)
    await damage(house, package_id, "video/360p/7.m4s")
    await verified(house, repair=True)
    [task] = await house.work()
    failed = SegmentFailed(
        task_id=task.task_id, package_id=package_id, attempt=1, reason="No source.", log_tail=""
    )
    await house.books.fail_package(failed)
    assert await house.state(package_id) == repository.COMPLETE
    assert f"packages/{package_id}/failed.json" not in await house.stored("packages/")
    [verdict] = await verified(house)
    assert {d.path for d in verdict.damaged} == {"video/360p/7.m4s", "index.json"}
