"""Dispatching against a real PostgreSQL and NATS: fair, merged, and whole after losses."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from reelay.common.commands import EncodeChunk, EncoderAlive, Lane, SegmentDemanded
from reelay.common.events import SegmentFailed, SegmentReady, VideoDeleted
from reelay.common.messaging import Messaging
from reelay.common.streams import declare_consumer, work_consumer
from reelay.packager.adapters import references, repository, virtual_times
from reelay.packager.domain.ladder_chunks import LEAST_ALONE_S, LEAST_S
from reelay.packager.handlers.upkeep import Upkeep, failed_consumer, made_consumer

from .house import House

pytestmark = pytest.mark.integration


def on(lane: Lane, tasks: list[EncodeChunk]) -> list[EncodeChunk]:
    return [task for task in tasks if task.lane == lane]


async def test_new_film_opens_at_once_and_fills_only_its_window(house: House) -> None:
    await house.add("a")
    tasks = await house.work()
    assert [t.lane for t in tasks] == [Lane.OPENING, Lane.LADDER, Lane.LADDER]


async def ten_more(house: House) -> None:
    """Let ten encoders be alive beside the one that always counts."""
    for number in range(10):
        alive = EncoderAlive(encoder_id=str(number), providers=["software"], encoder_version="9")
        await house.census.hear(alive)


async def test_more_encoders_widen_the_window_at_once(house: House) -> None:
    await house.add("a", seconds=1200)
    await house.work()
    assert not house.dispatcher.encoders_changed
    await ten_more(house)
    assert house.dispatcher.encoders_changed
    async with house.outbox.transaction() as tx:
        await house.dispatcher.dispatch(tx)
    assert not house.dispatcher.encoders_changed
    assert len(on(Lane.LADDER, await house.work())) == 15 - 2


async def test_encoders_that_are_silent_for_five_seconds_leave_a_narrower_window(
    house: House,
) -> None:
    await ten_more(house)
    await house.add("a", seconds=1200)
    task, *_ = on(Lane.LADDER, await house.work())
    now_s = house.census.clock()
    house.census.clock = lambda: now_s + 4.0
    assert not house.dispatcher.encoders_changed
    house.census.clock = lambda: now_s + 6.0
    assert house.dispatcher.encoders_changed
    await house.finish(task)
    assert on(Lane.LADDER, await house.work()) == []
    assert not house.dispatcher.encoders_changed


async def test_film_is_cut_in_shorter_chunks_while_it_is_the_only_one(house: House) -> None:
    await ten_more(house)
    chunks = []
    for _ in range(2):
        film = await house.add("a", seconds=100)
        tasks = [t for t in on(Lane.LADDER, await house.work()) if t.package_id == film.package_id]
        frames = sum(segment.frames for segment in tasks[1].segments)
        chunks.append(frames * tasks[1].fps_den / tasks[1].fps_num)
    assert chunks == [LEAST_ALONE_S, LEAST_S]


async def test_owner_with_one_clip_is_not_behind_one_with_a_hundred_films(house: House) -> None:
    for _ in range(100):
        await house.add("many")
    queue = on(Lane.LADDER, await house.work())
    clip = await house.add("one", seconds=30)
    made_before = 0
    while True:
        assert made_before < 10, "the clip waits for its turn"
        task = queue.pop(0)
        await house.finish(task)
        if task.package_id == clip.package_id:
            break
        made_before += 1
        queue += on(Lane.LADDER, await house.work())
    assert made_before <= 2


async def test_owner_who_returns_after_a_rest_waits_no_longer_than_a_new_one(house: House) -> None:
    await house.add("old", seconds=1200)
    queue = on(Lane.LADDER, await house.work())
    while queue:
        await house.finish(queue.pop(0))
        queue += on(Lane.LADDER, await house.work())
    for _ in range(20):
        await house.add("new", seconds=400)
    queue = on(Lane.LADDER, await house.work())
    clip = await house.add("old", seconds=30)
    queue += on(Lane.LADDER, await house.work())
    made_before = 0
    while (task := queue.pop(0)).package_id != clip.package_id:
        assert made_before < 10, "the clip waits for its turn"
        made_before += 1
        await house.finish(task)
        queue += on(Lane.LADDER, await house.work())
    assert made_before <= 3


async def test_openings_of_twenty_films_do_not_delay_another_owner_s(house: House) -> None:
    films = [await house.add("many") for _ in range(20)]
    queue = on(Lane.OPENING, await house.work())
    assert [task.package_id for task in queue] == [film.package_id for film in films[:2]]
    clip = await house.add("one")
    await house.finish(queue.pop(0))
    queue += on(Lane.OPENING, await house.work())
    assert queue[1].package_id == clip.package_id
    opened = {films[0].package_id}
    while queue:
        opened.add(queue[0].package_id)
        await house.finish(queue.pop(0))
        queue += on(Lane.OPENING, await house.work())
    assert len(opened) == 21


async def test_film_is_opened_at_once_while_there_is_room_and_in_its_turn_when_not(
    house: House,
) -> None:
    begun = [await house.request(f"{number:064x}") for number in range(1, 5)]
    opened = [task.package_id for task in on(Lane.OPENING, await house.work())]
    assert opened == [package for package, _ in begun[:2]]


async def test_viewer_of_forty_films_fills_no_lane(house: House) -> None:
    films = [await house.add("a", seconds=400) for _ in range(40)]
    while tasks := on(Lane.OPENING, await house.work()):
        for task in tasks:
            await house.finish(task)
    for film in films:
        await house.demand(film, "video/360p/60.m4s")
    tasks = await house.work()
    assert len(on(Lane.ONDEMAND, tasks)) == 2
    assert len(on(Lane.OPENING, tasks)) == 1


async def test_films_of_two_owners_share_the_encoders_evenly(house: House) -> None:
    for owner in ("a", "a", "a", "b"):
        await house.add(owner, seconds=2000)
    queue = on(Lane.LADDER, await house.work())
    served = {"a": 0, "b": 0}
    async with house.database.transaction() as session:
        owner_of = {t.package_id: t.owner_id for t in await virtual_times.first(session, 10)}
    for _ in range(24):
        task = queue.pop(0)
        served[owner_of[task.package_id]] += 1
        await house.finish(task)
        queue += on(Lane.LADDER, await house.work())
    assert abs(served["a"] - served["b"]) <= 3


async def test_many_demands_for_a_segment_become_one_task_with_its_sound(house: House) -> None:
    film = await house.add("a")
    await house.work()
    for viewer in ("v", "w", "x"):
        await house.demand(film, "video/360p/20.m4s", viewer)
    (task,) = on(Lane.ONDEMAND, await house.work())
    assert [o.rendition for o in task.video] == ["360p"]
    assert [s.number for s in task.segments] == [20]
    assert [s.number for s in task.audio_segments] == [20]


async def test_lowest_rung_runs_ahead_of_a_viewer_and_the_ladder_follows(house: House) -> None:
    film = await house.add("a", seconds=400)
    opening, *ladder = await house.work()
    await house.finish(opening)
    await house.work()
    await house.demand(film, "video/360p/60.m4s")
    tasks = await house.work()
    assert [s.number for s in on(Lane.OPENING, tasks)[0].segments] == [61, 62, 63, 64]
    await house.finish(ladder[0])
    (following,) = on(Lane.LADDER, await house.work())
    assert following.segments[0].number >= 60


async def test_demand_for_what_is_unknown_over_or_never_promised_makes_no_work(
    house: House,
) -> None:
    film, failed = await house.add("a"), await house.add("b")
    deleted, video_id = await house.request("d" * 64, seconds=120)
    task = next(task for task in await house.work() if task.package_id == failed.package_id)
    await house.books.fail_package(
        SegmentFailed(
            task_id=task.task_id, package_id=task.package_id, attempt=1, reason="", log_tail=""
        )
    )
    await house.planning().forget_video(VideoDeleted(video_id=video_id, owner_id="a"))
    await house.work()
    for package_id in ("f" * 64, failed.package_id, deleted):
        await house.demanding.hear(
            SegmentDemanded(package_id=package_id, path="video/360p/20.m4s", viewer="v")
        )
    for path in ("video/360p/9999.m4s", "video/999p/3.m4s", "master.m3u8", "../../etc/passwd"):
        await house.demand(film, path)
    assert on(Lane.ONDEMAND, await house.work()) == []
    await house.demand(film, "video/360p/20.m4s")
    assert [t.package_id for t in on(Lane.ONDEMAND, await house.work())] == [film.package_id]


async def test_stored_segment_is_not_made_again_on_demand(house: House) -> None:
    film = await house.add("a")
    opening = on(Lane.OPENING, await house.work())[0]
    await house.finish(opening)
    await house.work()
    await house.demand(film, "video/360p/1.m4s")
    assert on(Lane.ONDEMAND, await house.work()) == []


async def test_demand_waits_outside_the_queue_where_it_can_lapse(house: House) -> None:
    film = await house.add("a", seconds=1200)
    await house.work()
    for number in range(20, 120):
        await house.demanding.hear(
            SegmentDemanded(package_id=film.package_id, path=f"video/360p/{number}.m4s", viewer="g")
        )
    async with house.outbox.transaction() as tx:
        await house.dispatcher.dispatch(tx)
    tasks = on(Lane.ONDEMAND, await house.work())
    assert len(tasks) == 2
    later = time.monotonic() + 10
    assert list(house.board.waiting(later)) == []


@pytest.mark.parametrize("lane", list(Lane))
async def test_work_whose_message_is_lost_is_announced_again(house: House, lane: Lane) -> None:
    film = await house.add("a")
    await house.demand(film, "video/360p/20.m4s")
    await house.messaging.start()
    before = {t.task_id: t for t in await house.work() if t.lane == lane}
    assert before
    async with house.database.transaction() as session:
        for task in await repository.tasks(session):
            task.dispatched_at = datetime.now(UTC) - timedelta(minutes=1)
            session.add(task)
    await declare_consumers(house.messaging)
    upkeep = Upkeep(house.outbox, house.messaging, house.dispatcher, house.books)
    await upkeep.find_lost()
    again = {t.task_id: t for t in await house.work() if t.lane == lane}
    assert set(again) == set(before)
    assert all(task.attempt == 2 for task in again.values())


async def declare_consumers(messaging: Messaging) -> None:
    """Make the queues that encoders and packagers would have made."""
    for lane in Lane:
        await declare_consumer(messaging.jetstream, work_consumer("software", lane))
        await declare_consumer(messaging.jetstream, made_consumer(lane))
    await declare_consumer(messaging.jetstream, failed_consumer())


async def test_work_is_not_lost_while_what_was_made_of_it_waits_to_be_packaged(
    house: House,
) -> None:
    await house.add("a")
    await house.messaging.start()
    task = on(Lane.LADDER, await house.work())[0]
    async with house.database.transaction() as session:
        for row in await repository.tasks(session):
            row.dispatched_at = datetime.now(UTC) - timedelta(minutes=1)
            session.add(row)
    await declare_consumers(house.messaging)
    await house.messaging.publish(
        SegmentReady(
            task_id=task.task_id,
            package_id=task.package_id,
            rendition="360p",
            number=5,
            staging_key="staging/x",
            size_bytes=1,
            lane=Lane.LADDER,
        )
    )
    upkeep = Upkeep(house.outbox, house.messaging, house.dispatcher, house.books)
    await upkeep.find_lost()
    assert {task.lane for task in await house.work()} == {Lane.OPENING}, "that queue alone is empty"


async def test_same_asset_requested_twice_at_once_makes_one_package(house: House) -> None:
    made = await asyncio.gather(*(house.request("e" * 64, seconds=60) for _ in range(3)))
    assert len({package_id for package_id, _ in made}) == 1
    assert len(on(Lane.OPENING, await house.work())) == 1
    async with house.database.transaction() as session:
        needed_by = await references.references(session, made[0][0])
    assert set(needed_by) == {video_id for _, video_id in made}
