"""Asks again and again whether what is watched is still wanted.

No fact tells of a package that is abandoned while it is made, nor of one that is replaced.
"""

import contextlib
from http import HTTPStatus

from reelay.cli.api import Api, pause
from reelay.cli.errors import ServerRefusedError, ServerUnreachableError, TokenRefusedError
from reelay.cli.tus import GONE
from reelay.cli.watch_package import INDEX, PLAN

ASK_EVERY_S = 2.0
REMOVED = "This video was removed, or is private by now."
REPLACED = "This video has another package by now; watch it again."
UNWANTED = "This package was removed, or is private by now."


async def until_over(api: Api, package_id: str, video_id: str | None) -> str:
    """Return why nothing more will come of a package, as soon as the server says so.

    Who watches a video is done when it is deleted or gets another package; who watches a package
    (`video_id` None), when no video that all may see needs it, or when it was given up. A server
    that does not answer is asked again.
    """
    while True:
        await pause(ASK_EVERY_S)
        with contextlib.suppress(ServerUnreachableError, TokenRefusedError):
            if video_id is None:
                reason = await _end_of_package(api, package_id)
            else:
                reason = await _end_of_video(api, package_id, video_id)
            if reason:
                return reason


async def _end_of_video(api: Api, package_id: str, video_id: str) -> str:
    try:
        video = await api.video(video_id)
    except ServerRefusedError as error:
        return REMOVED if error.status in GONE else ""
    return "" if video.package_id in (None, package_id) else REPLACED


async def _end_of_package(api: Api, package_id: str) -> str:
    if await api.content_status(package_id, PLAN) in GONE:
        return UNWANTED
    if await api.content_status(package_id, INDEX) == HTTPStatus.GONE:
        return await _why(api, package_id)
    return ""


async def _why(api: Api, package_id: str) -> str:
    """Return the reason why there will be no index; empty when there may be one after all."""
    try:
        await api.content(package_id, INDEX)
    except ServerRefusedError as error:
        return error.detail if error.status == HTTPStatus.GONE else ""
    return ""
