"""The facts that the catalog consumes, each by a durable of its own."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from faststream import Context, Header

from reelay.catalog.videos.facts import Told, VideoFacts
from reelay.common.events import (
    AssetUploaded,
    AssetUploadStarted,
    AssetUploadTerminated,
    Event,
    ManifestUpdated,
    PackagePlanned,
    PackageRemoved,
    TranscodeCompleted,
    TranscodeFailed,
)
from reelay.common.messaging import Handler, Messaging
from reelay.common.streams import fact_consumer

F = TypeVar("F", bound=Event)
Digest = Callable[[F, Told], Awaitable[None]]
ACK_WAIT_S = 5.0
HEARTBEAT_S = 1.5
STORED_AT = Context("message.raw_message.metadata.timestamp")
STATED_AT = Header("ce-time", default=None)


def subscribe(messaging: Messaging, facts: VideoFacts) -> None:
    """Let `facts` digest what others tell about videos."""

    def on(handler: str, kind: type[F], digest: Digest[F]) -> None:
        fact = fact_consumer("catalog", handler, kind.subject)
        # A viewer waits: what a killed replica had in hand goes to another one soon.
        consumer = replace(fact, ack_wait_s=ACK_WAIT_S, heartbeat_s=HEARTBEAT_S)
        messaging.on(consumer, _with_times(kind, digest))

    on("note-upload-started", AssetUploadStarted, facts.note_upload_started)
    on("note-upload-terminated", AssetUploadTerminated, facts.note_upload_terminated)
    on("request-package", AssetUploaded, facts.request_package)
    on("note-package-planned", PackagePlanned, facts.note_package_planned)
    on("note-progress", ManifestUpdated, facts.note_progress)
    on("note-package-completed", TranscodeCompleted, facts.note_package_completed)
    on("note-package-removed", PackageRemoved, facts.note_package_removed)
    on("note-failure", TranscodeFailed, facts.note_failure)


def _with_times(kind: type[F], digest: Digest[F]) -> Handler[F]:
    """Return a handler that passes on when the fact was told.

    Its sender need not have said when it happened (CloudEvents 1.0, `time`); then that is when the
    broker stored it.
    """

    async def handle(
        fact: kind,  # type: ignore[valid-type]  # FastStream reads the model from it
        stored_at: datetime = STORED_AT,
        stated_at: datetime | None = STATED_AT,
    ) -> None:
        await digest(fact, Told(stored_at, stated_at or stored_at))

    return handle
