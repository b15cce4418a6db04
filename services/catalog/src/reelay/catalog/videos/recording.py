"""Records a change of a video: its row, the log for listeners, and the announcements."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from reelay.catalog.live import log
from reelay.catalog.live.hub import Hub
from reelay.catalog.live.log import Change, ChangeKind, deleted_body
from reelay.catalog.live.signal import Signal
from reelay.catalog.restrictions import deriving
from reelay.catalog.restrictions.publisher import AccessPublisher
from reelay.catalog.videos import repository
from reelay.catalog.videos.documents import VideoDocument
from reelay.catalog.videos.status import State
from reelay.catalog.videos.tables import VideoRow
from reelay.common.events import VideoPublished, VideoUpdated
from reelay.common.outbox import Outbox, Transaction

WATCHABLE = (State.PLAYABLE, State.READY)


@dataclass(frozen=True)
class Recording(Transaction):
    """A transaction that also notes what listeners are told after its commit."""

    changes: list[Change] = field(default_factory=list)
    touched: set[UUID] = field(default_factory=set)
    """Videos whose packages others may be allowed, or forbidden, to fetch now."""
    gone: set[str] = field(default_factory=set)
    """Packages that are removed."""


class Recorder:
    """Begins the transactions in which videos change."""

    def __init__(
        self, outbox: Outbox, hub: Hub, signal: Signal, restrictions: AccessPublisher
    ) -> None:
        self._outbox = outbox
        self._hub = hub
        self._signal = signal
        self._restrictions = restrictions

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Recording]:
        """Yield a transaction; listeners at all replicas are told right after its commit."""
        async with self._outbox.transaction() as transaction:
            recording = Recording(transaction.session, transaction.source, transaction.announced)
            yield recording
            restricted = False
            if recording.touched or recording.gone:
                restricted = await deriving.settle(
                    recording.session, recording.touched, recording.gone
                )
        if restricted:
            self._restrictions.wake()
        self._hub.tell(recording.changes)
        if recording.changes:
            await self._signal.send(recording.changes[-1].revision)


async def settle(transaction: Recording, video: VideoRow) -> None:
    """Derive a locked video's status anew; record it when it changed.

    Every change reaches listeners; progress alone is not announced to other services.
    """
    status = await repository.status_of(transaction.session, video.id)
    before, seen = (video.state, video.reason, video.package_id), VideoDocument.of(video)
    video.take(status)
    if seen == VideoDocument.of(video):
        return
    video.updated_at = datetime.now(UTC)
    first_watchable = video.state in WATCHABLE and video.published_at is None
    if first_watchable:
        video.published_at = video.updated_at
    await log_change(transaction, video)
    if before != (video.state, video.reason, video.package_id):
        await announce_update(transaction, video)
    if first_watchable:
        await _announce_publication(transaction, video)


async def log_change(transaction: Recording, video: VideoRow, *, withdrawn: bool = False) -> None:
    """Log, for listeners, what a locked video looks like now, or that it is gone.

    `withdrawn` says that it ceases to be public.
    """
    change = await log.append(transaction.session, change_of(video, withdrawn=withdrawn))
    transaction.changes.append(change)
    video.revision = change.revision
    if withdrawn:
        video.withdrawn_revision = change.revision


def change_of(video: VideoRow, *, withdrawn: bool = False) -> Change:
    """Return how a video looks now as the change that led to it."""
    kind = ChangeKind.VIDEO if video.deleted_at is None else ChangeKind.DELETED
    return Change(
        video.revision,
        video.id,
        kind,
        deleted_body(video.id) if video.deleted_at else VideoDocument.of(video).model_dump_json(),
        owner_id=video.owner_id,
        visibility=video.visibility,
        withdrawn=withdrawn,
    )


async def announce_update(transaction: Transaction, video: VideoRow) -> None:
    """Tell other services what a video is now."""
    await transaction.announce(
        VideoUpdated(
            video_id=video.id,
            owner_id=video.owner_id,
            title=video.title,
            state=video.state,
            package_id=video.package_id,
            visibility=video.visibility,
        )
    )


async def _announce_publication(transaction: Transaction, video: VideoRow) -> None:
    assert video.package_id is not None
    assert video.published_at is not None
    await transaction.announce(
        VideoPublished(
            video_id=video.id,
            owner_id=video.owner_id,
            title=video.title,
            package_id=video.package_id,
            published_at=video.published_at,
            visibility=video.visibility,
        )
    )
