"""What is left where a decision and its reason cross each other, or a packager dies in between."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from reelay.common.commands import EncodeChunk, Lane
from reelay.common.errors import OutageError
from reelay.common.events import SegmentFailed, SegmentReady
from reelay.common.outbox import Transaction
from reelay.common.storage.port import read_all
from reelay.packager.adapters import repository, virtual_times
from reelay.packager.adapters.tables import TaskRow
from reelay.packager.domain.chunks import Chunk
from reelay.packager.domain.outcome import INDEX, PLAN
from reelay.packager.handlers.upkeep import Upkeep, made_consumer
from reelay.packager.handlers.work import Work

from .house import House, segment_ready
from .test_dispatching import declare_consumers, on

pytestmark = pytest.mark.integration


def upkeep(house: House) -> Upkeep:
    return Upkeep(house.outbox, house.messaging, house.dispatcher, house.books)


async def tasks_of(house: House, package_id: str) -> list[TaskRow]:
    async with house.database.transaction() as session:
        return await repository.tasks(session, [package_id])


async def test_work_dispatched_while_its_package_ended_takes_no_place(house: House) -> None:
    film = await house.add("a")
    assert await tasks_of(house, film.package_id)
    async with house.database.transaction() as session:
        row = await repository.lock(session, film.package_id)
        assert row is not None
        row.state = repository.CANCELLED
        session.add(row)
    await house.work()
    await upkeep(house).tick()
    other = await house.add("b")
    assert await tasks_of(house, film.package_id) == []
    lanes = {task.lane for task in await house.work() if task.package_id == other.package_id}
    assert lanes == {Lane.OPENING, Lane.LADDER}


async def test_work_dispatched_while_others_stored_its_segments_is_over(house: House) -> None:
    film = await house.add("a")
    (opening,) = on(Lane.OPENING, await house.work())
    (row,) = [t for t in await tasks_of(house, film.package_id) if t.lane == Lane.OPENING]
    await house.finish(opening)
    async with house.database.transaction() as session:
        session.add(TaskRow(**row.model_dump()))
    await upkeep(house).tick()
    assert row.task_id not in {task.task_id for task in await tasks_of(house, film.package_id)}
    assert await house.state(film.package_id) == repository.PLANNED


async def test_film_that_only_the_ladder_makes_is_still_opened(house: House) -> None:
    first, second, third = [await house.add(owner) for owner in ("a", "b", "c")]
    tasks = await house.work()
    queue = on(Lane.LADDER, tasks)
    while not any(task.package_id == third.package_id for task in queue):
        await house.finish(queue.pop(0))
        queue += on(Lane.LADDER, await house.work())
    openings = {task.package_id: task for task in on(Lane.OPENING, tasks)}
    assert set(openings) == {first.package_id, second.package_id}
    await house.finish(openings[second.package_id])
    (opening,) = on(Lane.OPENING, await house.work())
    assert opening.package_id == third.package_id


async def test_newcomer_leaves_a_free_opening_to_who_waits_for_it(house: House) -> None:
    first, _, third = [await house.add(owner) for owner in ("a", "b", "c")]
    async with house.database.transaction() as session:
        opened = await repository.tasks(session, [first.package_id])
        await repository.drop_tasks(session, [t.task_id for t in opened if t.lane == Lane.OPENING])
        row = await repository.lock(session, first.package_id)
        assert row is not None
        row.playable = True
        session.add(row)
    await house.work()
    package_id, _ = await house.request("f" * 64, "d")
    opened_now = [task.package_id for task in on(Lane.OPENING, await house.work())]
    assert (opened_now, package_id != third.package_id) == ([third.package_id], True)


async def test_film_of_which_a_segment_is_demanded_keeps_no_other_closed(house: House) -> None:
    films = [await house.add("a", seconds=400) for _ in range(5)]
    async with house.database.transaction() as session:
        for film in films:
            await repository.delete_tasks(session, film.package_id)
    async with house.outbox.transaction() as tx:
        work = await Work.begin(tx)
        await work.load(film.package_id for film in films)
        lowest = tuple(rendition.name for rendition in films[0].opening)
        await work.announce(films[0].package_id, Chunk(Lane.ONDEMAND, "software", lowest, 1, 1))
        await work.announce(films[4].package_id, Chunk(Lane.OPENING, "software", lowest, 1, 3))
    await house.work()
    async with house.outbox.transaction() as tx:
        await house.dispatcher.dispatch(tx)
    opened = {task.package_id for task in on(Lane.OPENING, await house.work())}
    assert opened == {films[1].package_id}


async def test_package_made_before_its_promises_were_noted_lists_them(house: House) -> None:
    film = await house.add("a", seconds=20)
    await house.make_all()
    assert await house.state(film.package_id) == repository.COMPLETE
    folder = f"packages/{film.package_id}"
    listed = json.loads(await read_all(house.store, f"{folder}/{INDEX}"))["objects"]
    assert {PLAN, "master.m3u8", "manifest.mpd"} <= set(listed)
    assert set(listed) | {INDEX} == {
        key.removeprefix(f"{folder}/") for key in await house.stored(folder)
    }


async def test_lost_work_that_somebody_just_forgets_is_left_to_them(house: House) -> None:
    film = await house.add("a")
    await house.messaging.start()
    await declare_consumers(house.messaging)
    await house.work()
    async with house.database.transaction() as session:
        for task in await repository.tasks(session):
            task.dispatched_at = datetime.now(UTC) - timedelta(minutes=1)
            session.add(task)
    async with house.database.transaction() as session:
        await repository.delete_tasks(session, film.package_id)
        async with asyncio.timeout(20):
            await upkeep(house).find_lost()
    assert await house.work() == []


async def failure_of_one_of_two(house: House) -> SegmentFailed:
    """Have two films made; return the news that ends one of them."""
    failing, *_ = [await house.add(owner, seconds=1200) for owner in ("a", "b")]
    task, *_ = await house.work()
    return SegmentFailed(
        task_id=task.task_id, package_id=failing.package_id, attempt=1, reason="", log_tail=""
    )


async def test_room_that_a_failed_film_leaves_is_noted_until_it_is_filled(house: House) -> None:
    failed = await failure_of_one_of_two(house)
    await house.books.fail_package(failed)
    assert house.dispatcher.has_room
    assert await house.work() == []
    await upkeep(house).tick()
    assert on(Lane.LADDER, await house.work())
    assert not house.dispatcher.has_room


async def test_room_of_a_decision_that_fails_at_its_commit_is_decided_about_anew(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.books.fail_package(await failure_of_one_of_two(house))
    dispatch = house.dispatcher.dispatch

    async def cut_off(tx: Transaction) -> None:
        await dispatch(tx)
        pid = (await tx.session.execute(sa.select(sa.func.pg_backend_pid()))).scalar_one()
        async with house.database.transaction() as session:
            await session.execute(sa.select(sa.func.pg_terminate_backend(pid)))

    monkeypatch.setattr(house.dispatcher, "dispatch", cut_off)
    with pytest.raises(OutageError):
        await upkeep(house).tick()
    assert house.dispatcher.has_room


async def test_room_that_comes_while_it_is_decided_is_not_forgotten(house: House) -> None:
    failed = await failure_of_one_of_two(house)
    with house.dispatcher.deciding():
        async with house.outbox.transaction() as tx:
            await house.dispatcher.dispatch(tx)
        await house.books.fail_package(failed)
    assert house.dispatcher.has_room


def is_made(task: EncodeChunk, number: int) -> SegmentReady:
    return segment_ready(task, "360p", number)


async def test_lost_work_is_found_while_others_segments_wait_to_be_packaged(house: House) -> None:
    await house.add("a")
    await house.messaging.start()
    await declare_consumers(house.messaging)
    lost, *_ = on(Lane.LADDER, await house.work())
    async with house.database.transaction() as session:
        for row in await repository.tasks(session):
            row.dispatched_at = datetime.now(UTC) - timedelta(minutes=1)
            session.add(row)
    made = made_consumer(Lane.LADDER)
    waiting = await house.messaging.jetstream.pull_subscribe_bind(made.durable, stream=made.stream)
    await house.messaging.publish(is_made(lost, 5))
    care = upkeep(house)
    await care.find_lost()
    assert on(Lane.LADDER, await house.work()) == [], "it may be what waits"
    await house.messaging.publish(is_made(lost.model_copy(update={"package_id": "other"}), 6))
    (first,) = await waiting.fetch(1, timeout=20)
    await first.ack_sync()
    await care.find_lost()
    assert lost.task_id in {task.task_id for task in on(Lane.LADDER, await house.work())}


async def test_work_whose_failure_waits_to_be_heard_is_not_lost(house: House) -> None:
    film = await house.add("a")
    await house.messaging.start()
    await declare_consumers(house.messaging)
    failing, *_ = on(Lane.LADDER, await house.work())
    async with house.database.transaction() as session:
        for row in await repository.tasks(session):
            row.dispatched_at = datetime.now(UTC) - timedelta(minutes=1)
            session.add(row)
    failed = SegmentFailed(
        task_id=failing.task_id, package_id=film.package_id, attempt=1, reason="", log_tail=""
    )
    await house.messaging.publish(failed)
    care = upkeep(house)
    await care.find_lost()
    assert await house.work() == [], "its failure would count no more"
    await house.books.fail_package(failed)
    assert await house.state(film.package_id) == repository.FAILED


async def test_lost_work_is_found_behind_work_that_is_there(house: House) -> None:
    await house.add("a", seconds=1200)
    await house.messaging.start()
    await declare_consumers(house.messaging)
    there, lost = on(Lane.LADDER, await house.work())
    await house.messaging.publish(there)
    async with house.database.transaction() as session:
        for row in await repository.tasks(session):
            row.dispatched_at -= timedelta(minutes=2 if row.task_id == there.task_id else 1)
            session.add(row)
    await upkeep(house).find_lost()
    assert [t.task_id for t in on(Lane.LADDER, await house.work())] == [lost.task_id]


async def test_owner_s_turn_that_is_just_counted_is_not_undone_by_another_film(
    house: House,
) -> None:
    async with house.outbox.transaction() as tx:
        await repository.take_dispatch_lock(tx.session)
        await virtual_times.set_owner_times(tx.session, {"a": 500.0})
        adding = asyncio.create_task(house.add("a"))
        async with asyncio.timeout(10):
            while not await is_anybody_locked_out(house):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    await adding
    async with house.database.transaction() as session:
        time = await virtual_times.owner_time(session, "a")
    assert time is not None
    assert time >= 500.0


async def is_anybody_locked_out(house: House) -> bool:
    async with house.database.transaction() as session:
        waiting = "SELECT count(*) FROM pg_locks JOIN pg_database ON datname = current_database()"
        waiting += " WHERE NOT granted AND (database = pg_database.oid OR database IS NULL)"
        return bool((await session.execute(sa.text(waiting))).scalar_one())
