"""Decisions about one package that are taken at the same time."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from reelay.common.commands import Lane
from reelay.common.events import SegmentFailed, VideoDeleted
from reelay.packager.adapters import mending, pending, references, repository, virtual_times
from reelay.packager.domain.chunks import Chunk
from reelay.packager.handlers.repairing import Repairing
from reelay.packager.handlers.turns import LadderTurns
from reelay.packager.handlers.work import Work

from .house import House
from .test_dispatching import ten_more

pytestmark = pytest.mark.integration

WAITING = sa.text(
    "select count(*) from pg_stat_activity"
    " where datname = current_database() and wait_event_type = 'Lock'"
)


async def until_waiting(house: House, count: int) -> None:
    """Wait until so many transactions wait for others."""
    async with asyncio.timeout(60):
        while True:
            async with house.database.transaction() as session:
                if (await session.execute(WAITING)).scalar_one() >= count:
                    return
            await asyncio.sleep(0.01)


async def under_repair(house: House, asset: str, seconds: float) -> tuple[str, UUID, Repairing]:
    """Make a package, damage all of its segments and begin to repair it."""
    package_id, video_id = await house.request(asset, seconds=seconds)
    await house.make_all()
    keys = await house.stored(f"packages/{package_id}/")
    damaged = [key.split("/", 2)[2] for key in keys if key.endswith(".m4s")]
    repairing = Repairing(house.outbox, house.store, house.dispatcher)
    assert await repairing.repair(package_id, damaged) == "encoding"
    return package_id, video_id, repairing


async def test_package_is_replaced_while_another_decision_has_the_lock(house: House) -> None:
    package_id, _, repairing = await under_repair(house, "1" * 64, 900)
    await ten_more(house)
    async with house.outbox.transaction() as tx:
        await repository.take_dispatch_lock(tx.session)
        replacing = asyncio.create_task(repairing.replace(package_id))
        await until_waiting(house, 1)
        await house.dispatcher.dispatch(tx)
    await replacing
    assert await house.state(package_id) == repository.SUPERSEDED


async def test_deletion_of_one_video_leaves_the_package_of_another_that_just_came(
    house: House,
) -> None:
    package_id, first = await house.request("2" * 64, seconds=60)
    async with house.outbox.transaction() as tx:
        await repository.take_dispatch_lock(tx.session)
        coming = asyncio.create_task(house.request("2" * 64, seconds=60))
        await until_waiting(house, 1)
        deleted = VideoDeleted(video_id=first, owner_id="a")
        going = asyncio.create_task(house.planning(60).forget_video(deleted))
        await until_waiting(house, 2)
    await asyncio.gather(coming, going)
    assert await house.state(package_id) == repository.PLANNED


async def test_work_is_cancelled_when_both_videos_are_deleted_at_once(house: House) -> None:
    planning, states = house.planning(), []
    for number in range(1, 16):
        both = [await house.request(f"{number:064x}") for _ in range(2)]
        facts = [VideoDeleted(video_id=video, owner_id="a") for _, video in both]
        await asyncio.gather(*map(planning.forget_video, facts))
        states.append(await house.state(both[0][0]))
    assert set(states) == {repository.CANCELLED}


async def test_video_is_deleted_while_its_package_is_replaced(house: House) -> None:
    package_id, video, repairing = await under_repair(house, "3" * 64, 60)
    async with house.outbox.transaction() as tx:
        await repository.take_dispatch_lock(tx.session)
        replacing = asyncio.create_task(repairing.replace(package_id))
        await until_waiting(house, 1)
        fact = VideoDeleted(video_id=video, owner_id="a")
        going = asyncio.create_task(house.planning(60).forget_video(fact))
        await until_waiting(house, 2)
    await asyncio.gather(replacing, going)
    async with house.database.transaction() as session:
        assert await references.drop_references(session, video) == []


async def test_slow_store_holds_up_no_other_film_while_one_is_replaced(house: House) -> None:
    package_id, _, repairing = await under_repair(house, "4" * 64, 60)
    asked, answer = asyncio.Event(), asyncio.Event()
    put = house.store.put

    async def slowly(*arguments: Any) -> Any:
        asked.set()
        await answer.wait()
        return await put(*arguments)

    house.store.put = slowly  # type: ignore[method-assign]
    replacing = asyncio.create_task(repairing.replace(package_id))
    async with asyncio.timeout(60):
        await asked.wait()
        async with house.outbox.transaction() as tx:
            await house.dispatcher.dispatch(tx)
        answer.set()
        await replacing


async def test_turn_of_a_package_that_ends_while_it_is_decided_about_is_forgotten(
    house: House,
) -> None:
    ending, video = await house.request("5" * 64, seconds=1200)
    async with house.outbox.transaction() as tx:
        work = await Work.begin(tx)
        turns = await LadderTurns.of(work, 1)
        assert turns.next == ending
        await house.planning().forget_video(VideoDeleted(video_id=video, owner_id="a"))
        turns.serve(5.0)
        await turns.note(work)
    film = await house.add("a")
    async with house.database.transaction() as session:
        await mending.turns(session)
        (left,) = await virtual_times.first(session, 10)
    assert left.package_id == film.package_id


async def test_film_of_two_packages_is_deleted_while_it_is_decided_about(house: House) -> None:
    both = [await house.request(digit * 64, seconds=1200) for digit in "67"]
    small, big = sorted(package_id for package_id, _ in both)
    (_, video), _ = both
    async with house.database.transaction() as session:
        for package_id, each in both:
            await references.drop_references(session, each)
            await references.refer(session, package_id, video, "a")
        await virtual_times.join(session, big, "a", 0.0)
        await virtual_times.join(session, small, "a", 1.0)
    async with house.outbox.transaction() as tx:
        work = await Work.begin(tx)
        turns = await LadderTurns.of(work, 1)
        assert turns.next == big
        turns.serve(5.0)
        await turns.note(work)
        async with asyncio.timeout(60):  # it waits for no turn, whichever this decision takes next
            await house.planning().forget_video(VideoDeleted(video_id=video, owner_id="a"))
    assert [await house.state(name) for name in (small, big)] == [repository.CANCELLED] * 2


async def test_failure_of_work_that_is_just_announced_again_ends_nothing(house: House) -> None:
    package_id, _ = await house.request("8" * 64)
    task, *_ = await house.work()
    failed = SegmentFailed(
        task_id=task.task_id, package_id=package_id, attempt=1, reason="", log_tail=""
    )
    async with house.outbox.transaction() as tx:
        packages = await pending.packages(tx.session, [package_id])
        (row,) = await repository.lock_tasks(tx.session, [task.task_id])
        await house.dispatcher.again(tx, packages[package_id], row)
        await tx.session.flush()
        failing = asyncio.create_task(house.books.fail_package(failed))
        await until_waiting(house, 1)
    await failing
    assert await house.state(package_id) == repository.PLANNED


async def test_work_dispatched_while_its_package_was_abandoned_is_forgotten_when_it_is_taken_up(
    house: House,
) -> None:
    package_id, video = await house.request("9" * 64, seconds=400)
    await house.work()
    async with house.outbox.transaction() as tx:
        work = await Work.begin(tx)
        await work.load([package_id])
        lowest = tuple(rendition.name for rendition in work.plan(package_id).opening)
        await work.announce(package_id, Chunk(Lane.ONDEMAND, "software", lowest, 50, 50))
        await tx.session.flush()
        await house.planning().forget_video(VideoDeleted(video_id=video, owner_id="a"))
        again = asyncio.create_task(house.request("9" * 64, seconds=400))
        await until_waiting(house, 1)
    await again
    async with house.database.transaction() as session:
        tasks = await repository.tasks(session, [package_id])
    assert [(task.lane, task.first) for task in tasks] == [(Lane.OPENING, 1)]
