"""Packages that videos of several owners need are made in the turns that come sooner."""

import pytest
import sqlalchemy as sa

from reelay.common.commands import Lane
from reelay.common.events import VideoDeleted
from reelay.packager.adapters.tables import PackageReference, PackageRow, PackageTurn
from reelay.packager.handlers.upkeep import Upkeep

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


async def look(house: House) -> None:
    """Let the upkeep look, as it does every few seconds."""
    await Upkeep(house.outbox, house.messaging, house.dispatcher, house.books).tick()


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


async def test_clip_leaves_an_owner_who_brings_many_films_later(house: House) -> None:
    clip, _ = await house.request(asset(FILMS - 1), "many", seconds=SECONDS)
    await house.request(asset(FILMS - 1), "one", seconds=SECONDS)
    assert await owners(house, clip) == ("many", "many")
    await request_many(house)
    await look(house)
    assert await owners(house, clip) == ("one", "one")


async def test_film_that_another_took_comes_back_when_they_bring_many(house: House) -> None:
    film, _ = await house.request(asset(FILMS - 1), "first", seconds=SECONDS)
    await house.request(asset(FILMS), "first", seconds=SECONDS)
    await house.request(asset(FILMS - 1), "many", seconds=SECONDS)
    assert await owners(house, film) == ("many", "many")
    await request_many(house)
    await look(house)
    assert await owners(house, film) == ("first", "first")


async def test_film_leaves_the_turns_of_who_needs_it_no_more(house: House) -> None:
    film, video_id = await house.request(asset(1), "first", seconds=SECONDS)
    await house.request(asset(2), "second", seconds=SECONDS)
    await house.request(asset(1), "second", seconds=SECONDS)
    await house.planning().forget_video(VideoDeleted(video_id=video_id, owner_id="first"))
    await look(house)
    assert await owners(house, film) == ("second", "second")


async def test_video_of_nobody_knows_whom_keeps_a_film_where_it_is(house: House) -> None:
    film, _ = await house.request(asset(1), "first", seconds=SECONDS)
    await house.request(asset(1), "second", seconds=SECONDS)
    firsts = sa.update(PackageReference).where(PackageReference.owner_id == "first")  # type: ignore[arg-type]
    async with house.database.transaction() as session:
        await session.execute(firsts.values(owner_id=None))
    await look(house)
    assert await owners(house, film) == ("first", "first")


async def test_shared_films_are_shared_out_and_stay_there(house: House) -> None:
    films = await request_many(house)
    for number in range(FILMS):
        await house.request(asset(number), "other", seconds=SECONDS)
    for _ in range(2):
        turns = [(await owners(house, film))[0] for film in films]
        assert turns.count("other") == FILMS // 2
        await look(house)
    assert turns == [(await owners(house, film))[0] for film in films]
