"""Every request for a package ends: in a plan, or in a failure with a reason that still holds."""

import asyncio
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from reelay.common import outages
from reelay.common.commands import EncodeChunk
from reelay.common.errors import TransientError
from reelay.common.events import (
    PackageRequested,
    RewriteRequested,
    SegmentFailed,
    TranscodeFailed,
    VideoDeleted,
)
from reelay.common.messaging import Messaging
from reelay.common.outbox import OUTBOX
from reelay.common.service import background
from reelay.common.storage import ObjectMissingError, StoreUnavailableError, assert_works
from reelay.common.streams import fact_consumer
from reelay.packager.adapters import repository
from reelay.packager.adapters.ffprobe import NeedsIndexError
from reelay.packager.domain.outcome import FAILED
from reelay.packager.domain.source import SourceFacts
from reelay.packager.entrypoints.events import listen_to_videos
from reelay.packager.handlers.packaging import Packaging
from reelay.packager.handlers.planning import UNPREPARED, Planning
from reelay.packager.handlers.rewriting import PLACES, Rewriting

from ..unit.plans import VERSIONS, plan
from .house import FakeReader, House, segment_ready

pytestmark = pytest.mark.integration


class HangingReader:
    """Never finds out what a source is: the program that looks at it is ended each time."""

    async def examine(self, key: str) -> SourceFacts:
        """See SourceReader."""
        raise TransientError("ffprobe took more than 60 s.")


async def failures(house: House) -> list[TranscodeFailed]:
    async with house.database.transaction() as session:
        rows = await session.execute(sa.select(OUTBOX.c.subject, OUTBOX.c.body))
        failed = [row.body for row in rows if row.subject == TranscodeFailed.subject]
    return [TranscodeFailed.model_validate_json(body) for body in failed]


async def test_video_whose_source_can_never_be_examined_fails_with_a_reason(
    house: House, messaging: Messaging
) -> None:
    planning = Planning(house.outbox, house.store, HangingReader(), house.dispatcher, VERSIONS)  # type: ignore[arg-type]
    consumer = fact_consumer("packager", "plan-package", PackageRequested.subject)
    consumer = replace(consumer, max_deliver=2, retry_base_s=0.02)
    messaging.on(consumer, planning.plan_package, give_up=planning.give_up)
    await messaging.start()
    request = PackageRequested(
        video_id=uuid4(), owner_id="a", asset_id="b" * 64, source_key="sources/x"
    )
    await messaging.publish(request)
    letters = await messaging.jetstream.pull_subscribe("deadletters.>", stream="DEADLETTERS")
    await letters.fetch(1, timeout=20)
    [failed] = await failures(house)
    assert (failed.video_id, failed.asset_id) == (request.video_id, request.asset_id)
    assert failed.reason == UNPREPARED


async def test_message_that_is_no_request_fails_nobody(house: House) -> None:
    await house.planning().give_up(b"{not json", ValueError("not json"))
    assert await failures(house) == []


def failure_of(task: EncodeChunk) -> SegmentFailed:
    return SegmentFailed(
        task_id=task.task_id,
        package_id=task.package_id,
        attempt=task.attempt,
        reason="FFmpeg ended with status -11",
        log_tail="",
    )


async def test_failure_that_comes_again_after_a_new_try_began_does_not_end_it(
    house: House,
) -> None:
    package_id, _ = await house.request("c" * 64)
    failed = failure_of((await house.work())[0])
    await house.books.fail_package(failed)
    assert await house.state(package_id) == repository.FAILED
    await house.request("c" * 64)
    assert await house.state(package_id) == repository.PLANNED
    await house.books.fail_package(failed)
    assert await house.state(package_id) == repository.PLANNED
    assert f"packages/{package_id}/{FAILED}" not in await house.stored("packages/")


async def test_failure_of_a_task_whose_segments_another_one_made_ends_nothing(
    house: House,
) -> None:
    package_id, _ = await house.request("d" * 64)
    opening = (await house.work())[0]
    await house.make(opening)
    await house.books.fail_package(failure_of(opening))
    assert await house.state(package_id) == repository.PLANNED


async def test_segment_of_a_later_attempt_that_cannot_be_packaged_ends_the_film(
    house: House,
) -> None:
    package_id, _ = await house.request("f" * 64)
    task = (await house.work())[0]
    await house.again(task)
    [again] = [each for each in await house.work() if each.task_id == task.task_id]
    nobody: Any = None
    packaging = Packaging(house.store, nobody, house.books, nobody, nobody)
    ready = segment_ready(again, "360p", 1)
    await packaging.give_up(ready.model_dump_json().encode(), ValueError("not ISO BMFF"))
    assert await house.state(package_id) == repository.FAILED


def request_of(asset: str, key: str) -> PackageRequested:
    return PackageRequested(video_id=uuid4(), owner_id="a", asset_id=asset, source_key=key)


async def source_key(house: House, package_id: str) -> str:
    async with house.database.transaction() as session:
        row = await repository.find(session, package_id)
        assert row is not None
        return row.source_key


async def test_failed_package_is_made_from_where_its_file_lies_now(house: House) -> None:
    asset = "7" * 64
    await house.request(asset)
    await house.books.fail_package(failure_of((await house.work())[0]))
    await house.planning().plan_package(request_of(asset, "sources/new"))
    assert {task.source.key for task in await house.work()} == {"sources/new"}


async def test_package_that_is_being_made_keeps_its_source_and_a_whole_one_gets_the_new(
    house: House,
) -> None:
    asset = "8" * 64
    package_id, _ = await house.request(asset)
    await house.planning().plan_package(request_of(asset, "sources/new"))
    assert await source_key(house, package_id) == f"sources/{asset}"
    await house.make_all()
    await house.planning().plan_package(request_of(asset, "sources/new"))
    assert await source_key(house, package_id) == "sources/new"


async def test_package_of_a_rewritten_source_is_not_made_from_another_container(
    house: House,
) -> None:
    asset, rewritten = "9" * 64, f"rewritten/{'9' * 64}.mkv"
    package_id, _ = await house.request(asset)
    await house.books.fail_package(failure_of((await house.work())[0]))
    await house.store.put(rewritten, b"film")
    reader = FakeReader(replace(plan(20, size=(640, 360)).source, demuxer="matroska"), rewritten)
    planning = Planning(house.outbox, house.store, reader, house.dispatcher, VERSIONS)  # type: ignore[arg-type]
    request = request_of(asset, "sources/new")
    await planning.plan_rewritten(RewriteRequested(**request.model_dump()))
    assert await house.state(package_id) == repository.PLANNED
    assert await source_key(house, package_id) == f"sources/{asset}"


class SlowReader(FakeReader):
    """Rewrites what ends with .ts, and does not come to an end."""

    rewriting = 0

    async def examine(self, key: str) -> SourceFacts:
        """See SourceReader."""
        if key.endswith(".ts"):
            raise NeedsIndexError
        return self.source

    async def rewrite(self, asset_id: str, key: str) -> tuple[str, SourceFacts]:
        """See SourceReader."""
        self.rewriting += 1
        await asyncio.Event().wait()
        raise AssertionError


async def listening(house: House, reader: FakeReader) -> Rewriting:
    planning = Planning(house.outbox, house.store, reader, house.dispatcher, VERSIONS)  # type: ignore[arg-type]
    check = partial(assert_works, house.store)
    rewriting = Rewriting(house.outbox, house.store, planning, check)
    listen_to_videos(house.messaging, planning, rewriting, check)
    await house.messaging.start()
    return rewriting


async def until_idle(house: House, durable: str) -> None:
    """Wait until a consumer has digested all there is."""
    while True:
        info = await house.messaging.jetstream.consumer_info("EVENTS", durable)
        if not (info.num_pending or info.num_ack_pending):
            return
        await asyncio.sleep(0.02)


async def test_clip_is_planned_while_many_long_sources_are_rewritten(house: House) -> None:
    clip = plan(30, size=(640, 360), asset="c" * 64)
    reader = SlowReader(clip.source)
    rewriting = await listening(house, reader)
    async with background(house.outbox.run(), rewriting.run()), asyncio.timeout(60):
        for number in range(10):
            await house.store.put(f"sources/{number}.ts", b"film")
            await house.messaging.publish(request_of(f"{number:064}", f"sources/{number}.ts"))
        while reader.rewriting < len(PLACES):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        await house.messaging.publish(request_of("c" * 64, "sources/clip"))
        while await house.state(clip.package_id) != repository.PLANNED:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        await until_idle(house, "packager-plan-package")
    assert reader.rewriting == len(PLACES)


class DamagedReader(FakeReader):
    """Cannot read what ends with .damaged, as where a volume of the store is lost."""

    async def examine(self, key: str) -> SourceFacts:
        """See SourceReader."""
        if key.endswith(".damaged"):
            raise StoreUnavailableError("a volume is lost")
        return self.source


async def test_clip_is_planned_beside_more_sources_that_cannot_be_read_than_are_planned_at_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outages, "HAND_ON_AFTER_S", -1.0)
    monkeypatch.setattr(outages, "BLAMED_AFTER_S", 0.1)
    await house.store.put("sources/clip", b"film")
    clip = plan(30, size=(640, 360), asset="c" * 64)
    rewriting = await listening(house, DamagedReader(clip.source))
    async with background(house.outbox.run(), rewriting.run()), asyncio.timeout(60):
        for number in range(10):
            await house.messaging.publish(request_of(f"{number:064}", f"sources/{number}.damaged"))
        await house.messaging.publish(request_of("c" * 64, "sources/clip"))
        while await house.state(clip.package_id) != repository.PLANNED:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_source_that_was_rewritten_before_waits_for_no_other(house: House) -> None:
    asset, rewritten = "a" * 64, f"rewritten/{'a' * 64}.mp4"
    await house.store.put(rewritten, b"film")
    film = plan(20, size=(640, 360), asset=asset)
    reader = FakeReader(film.source, rewritten)
    planning = Planning(house.outbox, house.store, reader, house.dispatcher, VERSIONS)  # type: ignore[arg-type]
    await planning.plan_package(request_of(asset, "sources/a.ts"))
    assert await source_key(house, film.package_id) == rewritten


class EmptyReader(FakeReader):
    """Finds nothing under any key."""

    async def examine(self, key: str) -> SourceFacts:
        """See SourceReader."""
        raise ObjectMissingError(f"{key} is not stored")

    async def rewrite(self, asset_id: str, key: str) -> tuple[str, SourceFacts]:
        """See SourceReader."""
        raise ObjectMissingError(f"{key} is not stored")


async def test_source_that_is_missing_is_refused_unless_the_store_is_empty(
    house: House,
) -> None:
    reader = EmptyReader(plan().source)
    planning = Planning(house.outbox, house.store, reader, house.dispatcher, VERSIONS)  # type: ignore[arg-type]
    request = request_of("a" * 64, "sources/a")
    with pytest.raises(StoreUnavailableError, match="mounted"):
        await planning.plan_package(request)
    with pytest.raises(StoreUnavailableError, match="mounted"):
        await planning.plan_rewritten(RewriteRequested(**request.model_dump()))
    assert await failures(house) == []
    await house.store.put("sources/another", b"film")
    await planning.plan_package(request)
    [fact] = await failures(house)
    assert fact.video_id == request.video_id


async def test_source_of_a_deleted_video_is_not_rewritten(house: House) -> None:
    request = RewriteRequested(**request_of("e" * 64, "sources/x.ts").model_dump())
    await house.planning().forget_video(VideoDeleted(video_id=request.video_id, owner_id="a"))
    reader = SlowReader(plan().source)
    planning = Planning(house.outbox, house.store, reader, house.dispatcher, VERSIONS)  # type: ignore[arg-type]
    async with asyncio.timeout(20):
        await planning.plan_rewritten(request)
    assert reader.rewriting == 0
