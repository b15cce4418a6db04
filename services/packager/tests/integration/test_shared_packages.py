"""Packages that videos of several owners need are made in the turns that come sooner."""

import pytest

from reelay.common.commands import Lane
from reelay.common.events import VideoDeleted
from reelay.packager.adapters.tables import PackageRow, PackageTurn

from .house import House
from .test_dispatching import on

pytestmark = pytest.mark.integration

FILMS = 30
SECONDS = 120.0


def asset(number: int) -> str:
    return f"{number:064x}"


async def request_many(house: House) -> list[str]:
    """Let an owner ask for many films; return their packages."""
    return [(await house.request(asset(n), "many", seconds=SECONDS))[0] for n in range(FILMS)]


async def owners(house: House, package_id: str) -> tuple[str, str | None]:
    """Return whose a package is, and in whose turns it is made."""
    async with house.database.transaction() as session:
        row = await session.get(PackageRow, package_id)
        turn = await session.get(PackageTurn, package_id)
        assert row is not None
        return row.owner_id, turn and turn.owner_id


async def test_clip_waits_for_no_films_of_an_owner_who_has_it_too(house: House) -> None:
    packages = await request_many(house)
    queue = on(Lane.LADDER, await house.work())
    clip, _ = await house.request(asset(FILMS - 1), "one", seconds=SECONDS)
    assert clip == packages[-1]
    queue += on(Lane.LADDER, await house.work())
    made_before = 0
    while (task := queue.pop(0)).package_id != clip:
        assert made_before < 10, "the clip waits for the films"
        made_before += 1
        await house.finish(task)
        queue += on(Lane.LADDER, await house.work())
    assert made_before <= 3


async def test_its_opening_waits_for_none_of_them_either(house: House) -> None:
    await request_many(house)
    queue = on(Lane.OPENING, await house.work())
    clip, _ = await house.request(asset(FILMS - 1), "one", seconds=SECONDS)
    await house.finish(queue.pop(0))
    assert [task.package_id for task in on(Lane.OPENING, await house.work())] == [clip]


async def test_owner_of_more_films_takes_nothing_from_one_of_fewer(house: House) -> None:
    clip, _ = await house.request(asset(FILMS - 1), "one", seconds=SECONDS)
    assert clip in await request_many(house)
    assert await owners(house, clip) == ("one", "one")


async def test_equal_owners_leave_it_where_it_is(house: House) -> None:
    clip, _ = await house.request(asset(1), "first", seconds=SECONDS)
    await house.request(asset(1), "second", seconds=SECONDS)
    await house.request(asset(1), "second", seconds=SECONDS)
    assert await owners(house, clip) == ("first", "first")


async def test_given_up_package_is_made_in_the_turns_of_who_asks_again(house: House) -> None:
    clip, video_id = await house.request(asset(1), "first", seconds=SECONDS)
    await house.planning().forget_video(VideoDeleted(video_id=video_id, owner_id="first"))
    assert await owners(house, clip) == ("first", None)
    await house.request(asset(1), "second", seconds=SECONDS)
    assert await owners(house, clip) == ("second", "second")
