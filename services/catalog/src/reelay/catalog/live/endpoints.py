"""Server-sent events: `GET /api/v1/events` (HTML Living Standard, section 9.2)."""

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, suppress
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import StreamingResponse

from reelay.catalog.accounts.access import Viewer
from reelay.catalog.live.hub import Hub, Subscriber, missed
from reelay.catalog.live.log import Change, ChangeKind
from reelay.catalog.videos.endpoints import TheVideos
from reelay.catalog.videos.service import VideoMissingError, Videos
from reelay.common.openapi import content_of

HEARTBEAT = ": heartbeat\n\n"
HEARTBEAT_S = 10.0
RECONNECT_MS = 1000
MAX_REVISION = 2**63 - 1
STREAM = content_of("text/event-stream", "Events, as they come.")
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}

router = APIRouter(prefix="/api/v1")


async def hub_of(request: Request) -> Hub:
    """Return the hub that bootstrap made."""
    hub: Hub = request.app.state.hub
    return hub


@router.get("/events", response_class=StreamingResponse, responses=STREAM)
async def events(
    videos: TheVideos,
    hub: Annotated[Hub, Depends(hub_of)],
    viewer: Viewer,
    video_id: Annotated[UUID | None, Query()] = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> StreamingResponse:
    """Stream `video` and `deleted` events, of one video or of all that are public or one's own.

    With `video_id` the present state comes first; with `Last-Event-ID` everything that changed
    since, as it looks now.
    """
    if video_id is not None:
        await videos.present(viewer, video_id)  # an unknown one is 404 before the stream begins
    after = _revision(last_event_id) if video_id is None else None
    stream = _stream(videos, hub.subscribe(video_id, after, viewer))
    return StreamingResponse(stream, media_type="text/event-stream", headers=HEADERS)


def _revision(last_event_id: str | None) -> int | None:
    """Return the revision in a `Last-Event-ID`; None for one that is not ours."""
    text = last_event_id or ""
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        return None
    return min(int(text), MAX_REVISION)


async def _stream(
    videos: Videos, subscription: AbstractContextManager[Subscriber]
) -> AsyncIterator[str]:
    with subscription as subscriber:
        video_id = subscriber.video_id
        yield f"retry: {RECONNECT_MS}\n: connected\n\n"
        if video_id is not None:
            with suppress(VideoMissingError):  # deleted a moment ago: the change comes next
                present = await videos.present(subscriber.viewer, video_id)
                subscriber.position = present.revision
                yield _encode(present, videos)
        async for change in _changes(subscriber, videos):
            yield _encode(change, videos) if change else HEARTBEAT
            if change and change.kind is ChangeKind.DELETED and video_id is not None:
                return


async def _changes(subscriber: Subscriber, videos: Videos) -> AsyncIterator[Change | None]:
    """Yield changes as they come, and None whenever nothing came for a while."""
    while not subscriber.closed:
        if subscriber.behind:
            async for change in missed(subscriber, videos.changes_after):
                yield change
        elif (latest := subscriber.take()) is not None:
            yield latest
        elif not await subscriber.wait(HEARTBEAT_S):
            yield None


def _encode(change: Change, videos: Videos) -> str:
    body = videos.body_of(change)
    return f"id: {change.revision}\nevent: {change.kind}\ndata: {body}\n\n"
