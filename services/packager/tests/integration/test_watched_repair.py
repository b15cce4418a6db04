"""A film is watched while it is repaired: viewers make nobody cut it otherwise than it was."""

import pytest

from reelay.common.commands import EncodeChunk, Lane, SegmentDemanded
from reelay.packager.adapters import repository
from reelay.packager.handlers import opening

from .house import House
from .test_repairing import damage, verified

pytestmark = pytest.mark.integration

ASSET = "a" * 64


@pytest.fixture(autouse=True)
def opened_long_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let demand for what films open with be heard."""
    monkeypatch.setattr(opening, "OPENING_SOON_S", 0.0)


async def under_repair(house: House, *paths: str, seconds: float = 20) -> str:
    """Return a package that was complete, and of which these objects are made again."""
    package_id, _ = await house.request(ASSET, seconds=seconds)
    await house.make_all()
    for path in paths:
        await damage(house, package_id, path)
    await house.work()
    assert (await verified(house, repair=True))[0].repair == "encoding"
    return package_id


async def demanded(house: House, package_id: str, *paths: str) -> list[EncodeChunk]:
    """Let viewers wait for objects; return the work that comes of it."""
    for path in paths:
        await house.demanding.hear(
            SegmentDemanded(package_id=package_id, path=path, viewer=f"v-{path}")
        )
    async with house.outbox.transaction() as tx:
        await house.dispatcher.dispatch(tx)
    return await house.work()


def cuts(tasks: list[EncodeChunk]) -> list[tuple[Lane, list[str], int, int]]:
    """Return the lane, the renditions, and the first and last segment of tasks."""
    found = []
    for task in tasks:
        names = [output.rendition for output in task.video]
        names += [task.audio_rendition] if task.audio_rendition else []
        numbers = [segment.number for segment in task.segments or task.audio_segments]
        found.append((task.lane, names, numbers[0], numbers[-1]))
    return found


async def test_damaged_segment_that_is_waited_for_is_made_first_in_the_cut_it_had(
    house: House,
) -> None:
    package_id = await under_repair(house, "video/360p/7.m4s")
    assert cuts(await house.work()) == [(Lane.LADDER, ["360p"], 4, 7)]
    tasks = await demanded(house, package_id, "video/360p/7.m4s")
    assert cuts(tasks) == [(Lane.ONDEMAND, ["360p"], 4, 7)]
    await house.make(tasks[0])
    assert await house.state(package_id) == repository.COMPLETE
    assert (await verified(house))[0].damaged == []
    async with house.outbox.transaction() as tx:
        assert await repository.tasks(tx.session) == []


async def test_damaged_segments_of_one_cut_are_made_once_however_many_are_waited_for(
    house: House,
) -> None:
    paths = ("video/360p/5.m4s", "video/360p/7.m4s", "audio/main/7.m4s")
    package_id = await under_repair(house, *paths)
    await house.work()
    tasks = await demanded(house, package_id, *paths)
    assert sorted(cuts(tasks)) == [
        (Lane.ONDEMAND, ["360p"], 4, 7),
        (Lane.ONDEMAND, ["audio"], 4, 7),
    ]
    assert await demanded(house, package_id, *paths) == []


async def test_damaged_init_segment_that_is_waited_for_comes_with_the_first_segment(
    house: House,
) -> None:
    package_id = await under_repair(house, "video/360p/init.mp4")
    await house.work()
    tasks = await demanded(house, package_id, "video/360p/init.mp4")
    assert cuts(tasks) == [(Lane.ONDEMAND, ["360p"], 1, 3)]
    await house.make(tasks[0])
    assert (await verified(house))[0].damaged == []


async def test_damaged_segment_of_a_long_cut_waits_for_the_repair(house: House) -> None:
    package_id = await under_repair(house, "video/360p/15.m4s", seconds=100)
    [(lane, names, first, last)] = cuts(tasks := await house.work())
    assert (lane, names) == (Lane.LADDER, ["360p"])
    assert last - first > 4
    assert await demanded(house, package_id, "video/360p/15.m4s") == []
    await house.make(tasks[0])
    assert await house.state(package_id) == repository.COMPLETE


async def test_nothing_runs_ahead_of_viewers_in_a_repaired_film(house: House) -> None:
    package_id = await under_repair(house, "video/360p/3.m4s", "video/360p/4.m4s")
    await house.work()
    tasks = await demanded(house, package_id, "video/360p/3.m4s")
    assert cuts(tasks) == [(Lane.ONDEMAND, ["360p"], 1, 3)]


async def test_repaired_film_whose_beginning_is_damaged_is_not_opened_anew(house: House) -> None:
    package_id = await under_repair(house, "video/360p/1.m4s", "video/360p/7.m4s")
    beginning, middle = await house.work()
    assert cuts([beginning, middle]) == [
        (Lane.LADDER, ["360p"], 1, 3),
        (Lane.LADDER, ["360p"], 4, 7),
    ]
    await house.make(middle)
    await house.request(ASSET, "b")
    assert await house.work() == []
    await house.make(beginning)
    assert await house.state(package_id) == repository.COMPLETE


async def test_repaired_film_keeps_its_owner_s_next_one_from_no_opening(house: House) -> None:
    await under_repair(house, "video/360p/1.m4s", "video/360p/7.m4s")
    _, middle = await house.work()
    await house.make(middle)
    await house.request("b" * 64, "b")
    new, _ = await house.request("c" * 64)
    opened = [task.package_id for task in await house.work() if task.lane == Lane.OPENING]
    assert new in opened
