"""Facts that end waiting, or keeping, and questions. Only heard: who misses one looks anyway."""

import asyncio
from collections.abc import Awaitable, Callable

from reelay.common.commands import SegmentsStored, ViewersAsked, ViewerSeen
from reelay.common.events import (
    ManifestUpdated,
    PackagePlanned,
    PackageRemoved,
    TranscodeCompleted,
    TranscodeFailed,
)
from reelay.common.messaging import Messaging
from reelay.content_api.domain.news import News
from reelay.content_api.handlers.audience import ASKED_S, Audience
from reelay.content_api.handlers.downloads import Downloads
from reelay.content_api.handlers.library import Library


def listen(messaging: Messaging, library: Library, downloads: Downloads) -> None:
    """Let the facts about packages wake those who wait for their objects."""

    async def on_planned(event: PackagePlanned) -> None:
        library.failures.forget(event.package_id)
        library.waiting.wake(News(event.package_id))

    async def on_stored(event: SegmentsStored) -> None:
        numbers = {name: event.numbers.get(name, []) for name in event.renditions}
        library.waiting.wake(News(event.package_id, numbers))

    async def on_updated(event: ManifestUpdated) -> None:
        library.failures.forget(event.package_id)
        numbers: dict[str, set[int]] = {}
        for run in event.available:
            numbers.setdefault(run.rendition, set()).update(range(run.first, run.last + 1))
        library.waiting.wake(News(event.package_id, numbers))

    async def on_completed(event: TranscodeCompleted) -> None:
        library.waiting.wake(News(event.package_id))

    async def on_failed(event: TranscodeFailed) -> None:
        if event.package_id is not None:
            library.failures.hear(event.package_id, event.reason)
            library.waiting.wake(News(event.package_id))

    async def on_removed(event: PackageRemoved) -> None:
        library.forget(event.package_id)
        downloads.forget(event.package_id)

    messaging.on_plain(PackagePlanned, on_planned)
    messaging.on_plain(PackageRemoved, on_removed)
    messaging.on_plain(SegmentsStored, on_stored)
    messaging.on_plain(ManifestUpdated, on_updated)
    messaging.on_plain(TranscodeCompleted, on_completed)
    messaging.on_plain(TranscodeFailed, on_failed)


SPARE_S = 0.5
"""The loop's timers count whole milliseconds; one that came too early would forget nothing."""
TellViewers = Callable[[str, list[ViewerSeen]], Awaitable[None]]
"""Tells where the viewers of a package are."""


def answer(messaging: Messaging, audience: Audience, tell: TellViewers) -> None:
    """Let those who look at the map of a package know where its viewers are."""

    async def on_asked(question: ViewersAsked) -> None:
        # Also when nobody asks again: what was noted for this question is not kept.
        asyncio.get_running_loop().call_later(ASKED_S + SPARE_S, audience.forget)
        if viewers := audience.ask(question.package_id):
            await tell(question.package_id, viewers)

    messaging.on_plain(ViewersAsked, on_asked)
