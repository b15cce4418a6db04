"""Turns of many packages, of which each decision reads a few."""

import random
from collections.abc import Iterator

import pytest

from reelay.common.commands import Lane
from reelay.packager.adapters import mending, repository, virtual_times
from reelay.packager.adapters.tables import PackageTurn
from reelay.packager.domain.fairness import TurnQueue
from reelay.packager.handlers.repairing import Repairing
from reelay.packager.handlers.turns import LadderTurns
from reelay.packager.handlers.upkeep import Upkeep
from reelay.packager.handlers.work import Work

from .house import House
from .test_dispatching import on, ten_more

pytestmark = pytest.mark.integration

OWNERS, PACKAGES = 8, 60


async def waiting(house: House) -> set[str]:
    """Return the packages that wait for a turn."""
    async with house.database.transaction() as session:
        return {each.package_id for each in await virtual_times.first(session, PACKAGES)}


async def care_for(house: House) -> None:
    await Upkeep(house.outbox, house.messaging, house.dispatcher, house.books).tick()


async def many_wait(house: House, chance: random.Random) -> TurnQueue:
    """Let many packages wait; return their order as it is when all are looked at."""
    async with house.outbox.transaction() as tx:
        for number in range(PACKAGES):
            owner = f"{chance.randrange(OWNERS)}"
            await virtual_times.join(tx.session, f"{number}", owner, chance.random())
        times = {f"{owner}": chance.random() for owner in range(OWNERS)}
        await virtual_times.set_owner_times(tx.session, times)
    async with house.database.transaction() as session:
        return TurnQueue(await virtual_times.first(session, PACKAGES))


def taken_from(queue: TurnQueue, chance: random.Random) -> Iterator[str]:
    """Yield whose turns come, from a look at all; some leave instead of being served."""
    while queue:
        yield queue.next.package_id
        if chance.random() < 0.3:
            queue.leave()
        else:
            queue.serve(chance.random())


@pytest.mark.parametrize("most", [1, 3, 16])
async def test_turns_come_as_if_all_packages_were_looked_at(house: House, most: int) -> None:
    chance = random.Random(most)
    queue = await many_wait(house, random.Random(0))
    expected = list(taken_from(queue, random.Random(most)))
    got: list[str] = []
    async with house.outbox.transaction() as tx:
        work = await Work.begin(tx)
        while (turns := await LadderTurns.of(work, most)).next:
            while name := turns.next:
                got.append(name)
                if chance.random() < 0.3:
                    turns.leave()
                else:
                    turns.serve(chance.random())
            await turns.note(work)
    assert len(got) > PACKAGES
    assert got == expected


async def test_older_of_equals_goes_first_also_where_few_are_looked_at(house: House) -> None:
    async with house.database.transaction() as session:
        await virtual_times.join(session, "served", "x", 5.0)
        await virtual_times.join(session, "older", "y", 0.0)
        await virtual_times.join(session, "newer", "x", 0.0)
        for count in (1, 10):
            few = TurnQueue(await virtual_times.first(session, count))
            assert few.next.package_id == "older"


async def test_decision_reads_no_more_packages_than_it_may_choose(house: House) -> None:
    films = [await house.add(f"{number % 5}", seconds=400) for number in range(30)]
    async with house.outbox.transaction() as tx:
        work = await Work.begin(tx)
        await LadderTurns.of(work, 2)
    assert 1 <= len(work.packages) <= 4 < len(films)


async def test_package_that_is_all_under_way_waits_no_more(house: House) -> None:
    package_id, _ = await house.request("1" * 64, seconds=60)
    assert await waiting(house) == {package_id}
    await ten_more(house)
    await care_for(house)
    assert on(Lane.LADDER, await house.work())
    assert await waiting(house) == set()


async def test_package_that_is_repaired_waits_again(house: House) -> None:
    package_id, _ = await house.request("1" * 64, seconds=900)
    await house.make_all()
    assert await waiting(house) == set()
    damaged = [key.split("/", 2)[2] for key in await house.stored(f"packages/{package_id}/video")]
    await Repairing(house.outbox, house.store, house.dispatcher).repair(package_id, damaged)
    assert await waiting(house) == {package_id}


async def test_package_whose_turn_is_missing_gets_one_and_one_that_ended_loses_it(
    house: House,
) -> None:
    film = await house.add("a", seconds=400)
    async with house.database.transaction() as session:
        await virtual_times.forget(session, film.package_id)
        await virtual_times.join(session, "ended", "a", 5.0)
    assert await waiting(house) == {"ended"}
    await care_for(house)
    assert await waiting(house) == {film.package_id}


async def test_package_that_is_whole_waits_for_no_turn_until_it_is_complete(house: House) -> None:
    film = await house.add("a", seconds=20)
    async with house.database.transaction() as session:
        row = await repository.lock(session, film.package_id)
        assert row is not None
        row.segments_stored = row.segments_total
        session.add(row)
        await repository.delete_tasks(session, film.package_id)
        await virtual_times.note_packages(session, {film.package_id: (0.0, False)})
        await mending.turns(session)
    assert await waiting(house) == set()


async def test_package_that_nothing_is_under_way_for_is_not_forgotten(house: House) -> None:
    film = await house.add("a", seconds=400)
    async with house.database.transaction() as session:
        await repository.delete_tasks(session, film.package_id)
        turn = await session.get(PackageTurn, film.package_id)
        assert turn is not None
        turn.waits = False
        session.add(turn)
    await house.work()
    await care_for(house)
    assert on(Lane.LADDER, await house.work())
