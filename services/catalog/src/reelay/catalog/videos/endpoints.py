"""The HTTP side of videos."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from reelay.catalog.accounts.access import Publisher, Viewer
from reelay.catalog.videos.bodies import read_body
from reelay.catalog.videos.documents import VideoDocument, VideoDraft, VideoEdit, VideoPage
from reelay.catalog.videos.service import VideoMissingError, Videos
from reelay.common.openapi import body_of

MAX_PAGE = 100

router = APIRouter(prefix="/api/v1/videos")


async def videos_of(request: Request) -> Videos:
    """Return the use cases that bootstrap made."""
    videos: Videos = request.app.state.videos
    return videos


async def known_id(video_id: str) -> UUID:
    """Return the id in the path; what is no UUID names no video."""
    try:
        return UUID(video_id)
    except ValueError as error:
        raise VideoMissingError from error


TheVideos = Annotated[Videos, Depends(videos_of)]
VideoId = Annotated[UUID, Depends(known_id)]


@router.post("", status_code=201, openapi_extra=body_of(VideoDraft))
async def draft_video(
    request: Request, response: Response, caller: Publisher, videos: TheVideos
) -> VideoDocument:
    """Announce a video, before its file."""
    document = await videos.draft(caller, await read_body(request, VideoDraft))
    response.headers["location"] = f"{router.prefix}/{document.id}"
    return document


@router.get("")
async def list_videos(
    videos: TheVideos,
    viewer: Viewer,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
    cursor: UUID | None = None,
) -> VideoPage:
    """List the videos that are public or the caller's own, newest first."""
    return await videos.page(viewer, cursor, limit)


@router.get("/{video_id}")
async def get_video(video_id: VideoId, viewer: Viewer, videos: TheVideos) -> VideoDocument:
    """Look a video up; a private one is there for its owner and administrators alone."""
    return await videos.get(viewer, video_id)


@router.patch("/{video_id}", openapi_extra=body_of(VideoEdit))
async def edit_video(
    request: Request, caller: Publisher, video_id: VideoId, videos: TheVideos
) -> VideoDocument:
    """Change title, description or visibility."""
    return await videos.edit(caller, video_id, await read_body(request, VideoEdit))


@router.delete("/{video_id}", status_code=204)
async def delete_video(caller: Publisher, video_id: VideoId, videos: TheVideos) -> None:
    """Remove a video."""
    await videos.delete(caller, video_id)
