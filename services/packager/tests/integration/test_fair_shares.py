"""Nobody's work waits for what others ask too much of, save up or lose."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from reelay.common.commands import Lane, SegmentDemanded
from reelay.common.events import SegmentFailed
from reelay.common.streams import declare_consumer, work_consumer
from reelay.packager.adapters import repository
from reelay.packager.domain.plan import Plan, make_plan
from reelay.packager.domain.window import ladder_window
from reelay.packager.handlers.repairing import Repairing
from reelay.packager.handlers.upkeep import LOST_AFTER, Upkeep

from ..unit.plans import VERSIONS, plan
from .house import House
from .test_dispatching import declare_consumers, on

pytestmark = pytest.mark.integration

ENCODERS = 200


async def add_of_many_rungs(house: House) -> Plan:
    film = make_plan(uuid4().hex * 2, plan(400, size=(3840, 2160)).source, VERSIONS)
    async with house.outbox.transaction() as tx:
        await repository.insert_package(tx.session, film, "a", "sources/x")
        row = await repository.lock(tx.session, film.package_id)
        assert row is not None
        await house.dispatcher.admit(tx, row)
        await house.dispatcher.dispatch(tx)
    return film


async def test_each_of_many_encoders_gets_a_chunk(house: House) -> None:
    await house.messaging.start()
    jetstream, queue = house.messaging.jetstream, work_consumer("software", Lane.LADDER)
    await declare_consumer(jetstream, queue)
    for _ in range(ENCODERS):
        await jetstream.publish(queue.subject, b"")
    pulling = await jetstream.pull_subscribe_bind(queue.durable, stream=queue.stream)
    held = [(await pulling.fetch(1, timeout=5))[0] for _ in range(ENCODERS)]
    assert len(held) == ENCODERS


async def test_viewer_who_asks_for_all_rungs_makes_nobody_s_one_rung_wait(house: House) -> None:
    film = await add_of_many_rungs(house)
    opening, *_ = await house.work()
    await house.finish(opening)
    await house.work()
    for rendition in film.renditions:
        for number in range(20, 60):
            path = f"{rendition.path}/{number}.m4s"
            demand = SegmentDemanded(package_id=film.package_id, path=path, viewer="g-g")
            await house.demanding.hear(demand)
    await house.demand(film, "video/360p/50.m4s", "m-m")
    made = [
        ([output.rendition for output in task.video], [s.number for s in task.segments])
        for task in on(Lane.ONDEMAND, await house.work())
    ]
    assert (["360p"], [50]) in made
    assert all(len(rungs) == 1 for rungs, _ in made)


async def test_owner_saves_up_no_turns_while_the_last_chunk_is_under_way(house: House) -> None:
    await house.add("a", seconds=20)
    await house.work()
    for _ in range(3):
        await house.add("b", seconds=7200)
    queue = on(Lane.LADDER, await house.work())
    for _ in range(24):
        await house.finish(queue.pop(0))
        queue += on(Lane.LADDER, await house.work())
    films = {(await house.add("a", seconds=7200)).package_id for _ in range(3)}
    queue += on(Lane.LADDER, await house.work())
    served = ""
    for _ in range(36):
        task = queue.pop(0)
        served += "a" if task.package_id in films else "b"
        await house.finish(task)
        queue += on(Lane.LADDER, await house.work())
    assert "a" * 5 not in served
    assert "b" * 5 not in served


async def test_repair_fills_only_its_window_beside_others(house: House) -> None:
    package_id, _ = await house.request("1" * 64, seconds=900)
    await house.make_all()
    keys = await house.stored(f"packages/{package_id}/")
    damaged = [key.split("/", 2)[2] for key in keys if key.endswith(".m4s")]
    repairing = Repairing(house.outbox, house.store, house.dispatcher)
    assert await repairing.repair(package_id, damaged) == "encoding"
    queue = on(Lane.LADDER, await house.work())
    assert len(queue) == ladder_window(1)
    other, _ = await house.request("2" * 64, owner="b", seconds=60)
    before = 0
    while queue[0].package_id != other:
        await house.make(queue.pop(0))
        before += 1
        queue += on(Lane.LADDER, await house.work())
    assert before <= ladder_window(1) + 1


async def test_lost_work_is_found_behind_that_of_others(house: House) -> None:
    await house.add("a", seconds=20)
    await house.messaging.start()
    await declare_consumers(house.messaging)
    lost = {task.task_id for task in await house.work()}
    async with house.database.transaction() as session:
        for row in await repository.tasks(session):
            row.dispatched_at = datetime.now(UTC) - 2 * LOST_AFTER
            session.add(row)
    await house.add("b", seconds=600)
    others = await house.work()
    for task in others:
        await house.messaging.publish(task)
    upkeep = Upkeep(house.outbox, house.messaging, house.dispatcher, house.books)
    await upkeep.find_lost()
    again = {task.task_id: task.attempt for task in await house.work()}
    assert again == dict.fromkeys(lost, 2)
    async with house.database.transaction() as session:
        for row in await repository.tasks(session):
            row.dispatched_at -= timedelta(minutes=1)
            session.add(row)
    await upkeep.find_lost()
    queued = {task.task_id for task in others}
    assert not queued & {task.task_id for task in await house.work()}


async def test_failure_of_an_attempt_before_the_last_ends_no_film(house: House) -> None:
    package_id, _ = await house.request("4" * 64, seconds=400)
    task, *_ = await house.work()
    await house.again(task)
    failed = SegmentFailed(
        task_id=task.task_id, package_id=package_id, attempt=1, reason="", log_tail=""
    )
    await house.books.fail_package(failed)
    assert await house.state(package_id) == repository.PLANNED
    await house.books.fail_package(failed.model_copy(update={"attempt": 2}))
    assert await house.state(package_id) == repository.FAILED
