"""What an encoder has half made is not demanded anew; what none makes any more is."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlmodel import col

from reelay.common.commands import EncodeChunk, Lane
from reelay.packager.adapters.tables import TaskRow
from reelay.packager.domain import coming
from reelay.packager.domain.plan import Plan
from reelay.packager.handlers import opening

from .house import House

pytestmark = pytest.mark.integration

A_WHILE, LONG = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture(autouse=True)
def however_slow_this_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what rests be given up after a time between `A_WHILE` and `LONG`.

    Who hears of viewers is not who began the opening.
    """
    monkeypatch.setattr(opening, "OPENING_SOON_S", 0.0)
    monkeypatch.setattr(coming, "RESTING_SOON_S", 1800.0)


async def passes(house: House, time: timedelta) -> None:
    """Let time go by for what is under way."""
    dispatched, progressed = col(TaskRow.dispatched_at), col(TaskRow.progressed_at)
    async with house.database.transaction() as session:
        await session.execute(
            sa.update(TaskRow).values(
                dispatched_at=dispatched - time, progressed_at=progressed - time
            )
        )


def first(task: EncodeChunk) -> EncodeChunk:
    """Return what of a task its first segment is, with its sound."""
    part = {"segments": task.segments[:1], "audio_segments": task.audio_segments[:1]}
    return task.model_copy(update=part)


async def demanded(house: House, film: Plan, number: int) -> list[int]:
    """Let a viewer wait for a segment; return those that are made on demand then."""
    await house.demand(film, f"video/360p/{number}.m4s")
    tasks = [task for task in await house.work() if task.lane == Lane.ONDEMAND]
    for task in tasks:
        await house.finish(task)
    return [segment.number for task in tasks for segment in task.segments]


async def opened(house: House) -> tuple[Plan, EncodeChunk]:
    """Return a film and its opening, which is under way."""
    film = await house.add("a", seconds=400)
    return film, next(task for task in await house.work() if task.lane == Lane.OPENING)


async def sought(house: House) -> tuple[Plan, EncodeChunk]:
    """Return a film of which a viewer has segment 60, and what runs ahead of them."""
    film, begun = await opened(house)
    await house.finish(begun)
    await house.demand(film, "video/360p/60.m4s")
    tasks = {task.lane: task for task in await house.work()}
    await passes(house, A_WHILE)
    await house.finish(tasks[Lane.ONDEMAND])
    assert [s.number for s in tasks[Lane.OPENING].segments] == [61, 62, 63, 64]
    return film, tasks[Lane.OPENING]


async def test_segments_ahead_of_a_viewer_who_plays_on_are_made_once(house: House) -> None:
    film, ahead = await sought(house)
    assert await demanded(house, film, 61) == []
    await passes(house, LONG)
    await house.finish(first(ahead))
    await passes(house, A_WHILE)
    assert await demanded(house, film, 62) == []


async def test_segments_of_an_opening_that_rests_for_others_are_made_once(house: House) -> None:
    film, begun = await opened(house)
    await passes(house, LONG)
    await house.finish(first(begun))
    await passes(house, A_WHILE)
    assert await demanded(house, film, 2) == []


async def test_segment_whose_encoder_died_is_made_on_demand(house: House) -> None:
    film, _ = await sought(house)
    _, other = await opened(house)
    await passes(house, LONG)
    await house.finish(first(other))
    assert await demanded(house, film, 61) == [61], "progress is each task's own"
    assert await demanded(house, film, 62) == [62], "what another task stored is no progress"


async def test_segment_whose_encoder_died_after_others_is_made_on_demand(house: House) -> None:
    film, ahead = await sought(house)
    await house.finish(first(ahead))
    await passes(house, LONG)
    assert await demanded(house, film, 62) == [62]


async def test_first_picture_that_does_not_come_is_made_on_demand(house: House) -> None:
    film, _ = await opened(house)
    await passes(house, A_WHILE)
    assert await demanded(house, film, 1) == [1]


async def test_who_seeks_past_the_next_segments_does_not_wait_for_them(house: House) -> None:
    film, _ = await sought(house)
    assert await demanded(house, film, 64) == [64]


async def test_work_that_is_announced_again_has_its_time_anew(house: House) -> None:
    film, ahead = await sought(house)
    await house.finish(first(ahead))
    await passes(house, LONG)
    await house.again(ahead)
    await passes(house, A_WHILE)
    assert await demanded(house, film, 62) == []
