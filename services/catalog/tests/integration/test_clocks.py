"""Clocks of machines differ: what is shown of a video is what happened, in the order it did."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from reelay.common.events import PackageRemoved, TranscodeFailed
from reelay.common.messaging import Messaging

from .system import Catalog, Film, publish
from .test_restrictions import told, until_told

pytestmark = pytest.mark.integration

AHEAD = timedelta(minutes=10)
"""How far some machine's clock is ahead."""
YESTERDAY = datetime.now(UTC) - timedelta(days=1)


def ahead() -> datetime:
    """Return what the clock of that machine says."""
    return datetime.now(UTC) + AHEAD


def decided(second: int) -> datetime:
    """Return a time by the clock of the packager's database, which is a day behind."""
    return YESTERDAY + timedelta(seconds=second)


def unplannable(film: Film, second: int) -> TranscodeFailed:
    return TranscodeFailed(
        asset_id=film.asset_id,
        reason="This is no video.",
        video_id=film.video,
        decided_at=decided(second),
    )


async def test_file_that_cannot_be_planned_fails_its_video_though_its_upload_was_ahead(
    shared_catalog: Catalog, facts: Messaging
) -> None:
    film = Film(await shared_catalog.draft())
    assert film.video_id
    await publish(facts, film.started(), ahead())
    await publish(facts, film.uploaded(), ahead())
    await publish(facts, unplannable(film, 1))
    await shared_catalog.until(film.video_id, state="failed", reason="This is no video.")
    again = Film(film.video_id)
    await publish(facts, again.started())
    await shared_catalog.until(film.video_id, state="uploading", reason=None)


async def test_plan_after_the_failure_of_a_packager_that_was_ahead_revives_the_video(
    shared_catalog: Catalog, facts: Messaging
) -> None:
    film = Film(await shared_catalog.draft())
    assert film.video_id
    await publish(facts, film.uploaded())
    await publish(facts, film.planned(decided(1)))
    await publish(facts, film.failed(decided(2)), ahead())
    await shared_catalog.until(film.video_id, state="failed", reason="No encoder worked.")
    await publish(facts, film.planned(decided(3)))
    await shared_catalog.until(film.video_id, state="planned", reason=None)


async def test_failure_that_is_told_after_the_plan_that_followed_it_ends_nothing(
    shared_catalog: Catalog, facts: Messaging
) -> None:
    film, other = [Film(await shared_catalog.draft()) for _ in range(2)]
    assert film.video_id
    assert other.video_id
    for event in (film.uploaded(), film.planned(decided(3)), film.stored(2)):
        await publish(facts, event)
    await shared_catalog.until(film.video_id, state="playable")
    await publish(facts, film.failed(decided(2)), ahead())
    await publish(facts, unplannable(other, 1))
    await shared_catalog.until(other.video_id, state="failed")  # by the same durable, after it
    assert (await shared_catalog.get(film.video_id))["state"] == "playable"


async def test_removal_that_is_told_after_a_new_plan_opens_nothing(
    shared_catalog: Catalog, facts: Messaging
) -> None:
    film, other = [Film(await shared_catalog.draft(visibility="private")) for _ in range(2)]
    assert film.video_id
    assert other.video_id
    for event in (film.uploaded(), film.planned(decided(3)), other.planned(decided(1))):
        await publish(facts, event)
    for each in (film, other):
        assert each.video_id
        await until_told(facts, each.package_id, "token", [each.video_id])
    for each in (film, other):
        removed = PackageRemoved(package_id=each.package_id, decided_at=decided(2))
        await publish(facts, removed, ahead())
    await until_told(facts, other.package_id, "open")
    assert await told(facts, film.package_id) == ("token", [film.video_id])
    await publish(facts, film.completed())
    await shared_catalog.until(film.video_id, state="ready", segments_total=film.total)


async def test_facts_in_a_stream_that_was_made_anew_are_later_than_those_before(
    lonely: Catalog, messaging: Messaging
) -> None:
    lonely.start()
    await messaging.start()
    film = Film(await lonely.draft())
    assert film.video_id
    for event in (film.started(), film.uploaded(), film.planned(decided(1))):
        await publish(messaging, event)
    await publish(messaging, film.failed(decided(2)))
    await lonely.until(film.video_id, state="failed")
    await asyncio.to_thread(lonely.stop)
    await messaging.jetstream.delete_stream("EVENTS")
    lonely.start()
    again = Film(film.video_id)
    await publish(messaging, again.started())
    await lonely.until(film.video_id, state="uploading")
    await publish(messaging, again.uploaded())
    await publish(messaging, unplannable(again, 3))
    await lonely.until(film.video_id, state="failed", reason="This is no video.")
