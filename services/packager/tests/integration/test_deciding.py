"""Facts about packages say when they were decided, by one clock: that of the database."""

import asyncio
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa

from reelay.common.commands import EncodeChunk
from reelay.common.events import (
    Event,
    PackagePlanned,
    PackageRemoved,
    SegmentFailed,
    TranscodeFailed,
    VideoDeleted,
)
from reelay.common.outbox import OUTBOX
from reelay.packager.adapters import repository
from reelay.packager.handlers.collecting import Collecting

from .house import House

pytestmark = pytest.mark.integration

KINDS: dict[str, type[Event]] = {
    kind.subject: kind for kind in (PackagePlanned, PackageRemoved, TranscodeFailed)
}
Decided = tuple[datetime, str]


async def decisions(house: House) -> tuple[list[Decided], list[EncodeChunk]]:
    """Return what was decided of packages, in the order of the announcements, and the work."""
    async with house.database.transaction() as session:
        rows = list(await session.execute(sa.select(OUTBOX).order_by(OUTBOX.c.id)))
        await session.execute(sa.delete(OUTBOX))
    facts: list[Any] = [
        KINDS[row.subject].model_validate_json(row.body) for row in rows if row.subject in KINDS
    ]
    work = [EncodeChunk.model_validate_json(r.body) for r in rows if r.subject.startswith("work.")]
    return [(fact.decided_at, type(fact).__name__) for fact in facts], work


async def fail(house: House, task: EncodeChunk) -> None:
    """Let an encoder give a task up."""
    await house.books.fail_package(
        SegmentFailed(
            task_id=task.task_id,
            package_id=task.package_id,
            attempt=task.attempt,
            reason="FFmpeg ended with status -11",
            log_tail="",
        )
    )


async def test_life_of_a_package_is_told_in_the_order_of_its_decisions(house: House) -> None:
    package_id, first = await house.request("8" * 64)
    told, work = await decisions(house)
    await fail(house, work[0])
    _, second = await house.request("8" * 64)
    for video_id in (first, second):
        await house.planning().forget_video(VideoDeleted(video_id=video_id, owner_id="a"))
    assert [
        r.name async for r in Collecting(house.database, house.outbox, house.store, 0).collect()
    ]
    assert await house.state(package_id) is None
    await house.request("8" * 64)
    told += (await decisions(house))[0]
    assert [name for _, name in told] == [
        "PackagePlanned",
        "TranscodeFailed",
        "PackagePlanned",
        "PackageRemoved",
        "PackagePlanned",
    ]
    assert sorted(told) == told


async def test_package_that_fails_while_its_manifests_are_written_failed_later(
    house: House,
) -> None:
    put, asked, answer = house.store.put, asyncio.Event(), asyncio.Event()

    async def slowly(*arguments: Any) -> Any:
        asked.set()
        await answer.wait()
        return await put(*arguments)

    house.store.put = slowly  # type: ignore[method-assign]
    planning = asyncio.create_task(house.request("9" * 64))
    async with asyncio.timeout(60):
        await asked.wait()
    house.store.put = put  # type: ignore[method-assign]
    _, work = await decisions(house)
    await fail(house, work[0])
    answer.set()
    package_id, _ = await planning
    assert await house.state(package_id) == repository.FAILED
    told, _ = await decisions(house)
    assert [name for _, name in told] == ["TranscodeFailed", "PackagePlanned"]
    assert [name for _, name in sorted(told)] == ["PackagePlanned", "TranscodeFailed"]
