"""Publishes files: draft, upload, and watching until they can be watched."""

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path

from reelay.cli.api import Api, Video
from reelay.cli.errors import (
    CommandError,
    ServerRefusedError,
    UploadGoneError,
    VideoFailedError,
)
from reelay.cli.follow import follow
from reelay.cli.names import readable
from reelay.cli.remembered import RememberedUploads, Upload
from reelay.cli.report import Report
from reelay.cli.source import SourceFile, examine
from reelay.cli.tus import GONE, PASSING, Patience, TusUpload, create

AWAITS_BYTES = ("draft", "uploading")


@dataclass
class Stage:
    """How far the present file is, for the sentence after Ctrl-C."""

    path: Path | None = None
    video_id: str | None = None
    is_uploaded: bool = False


class Publisher:
    """Publishes one file after the other to one server."""

    def __init__(
        self,
        api: Api,
        remembered: RememberedUploads,
        report: Report,
        *,
        wait: bool = True,
        visibility: str | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.stage = Stage()
        self._api = api
        self._remembered = remembered
        self._report = report
        self._wait = wait
        self._visibility = visibility
        self._patience = patience or Patience()

    async def publish(self, path: Path, title: str | None = None) -> None:
        """Publish a file, or go on where an earlier run was interrupted.

        Returns when the video is ready (without waiting: when it can be watched). Raises
        CommandError with the reason why it will not be.
        """
        self.stage = Stage(path)
        try:
            file = examine(path)
            try:
                await self._upload(file, readable(title or path.stem))
                await self._follow(file)
            except (ServerRefusedError, VideoFailedError) as error:
                if isinstance(error, VideoFailedError) or error.status not in PASSING:
                    self._remembered.forget(self._api.server, file)
                raise
        except CommandError as error:
            self._report.failed(path, error.detail, self.stage.video_id)
            raise
        self._remembered.forget(self._api.server, file)

    async def _upload(self, file: SourceFile, title: str) -> None:
        if await self._go_on(file):
            return
        video = await self._api.draft_video(title, self._visibility)
        self.stage.video_id = video.id
        url = await create(self._api, file, video.id)
        self._remembered.remember(self._api.server, file, Upload(video.id, url))
        await self._send(file, url, video.id, 0)

    async def _go_on(self, file: SourceFile) -> bool:
        """Finish an upload that was begun earlier; false when it must begin anew."""
        known = self._remembered.find(self._api.server, file)
        if known is None:
            return False
        self.stage.video_id = known.video_id
        try:
            if self._visibility:
                await self._api.show_to(known.video_id, self._visibility)
            video = await self._api.video(known.video_id)
            if video.state == "failed":
                raise UploadGoneError
            if video.state in AWAITS_BYTES:
                upload = TusUpload(self._api, known.upload_url, file, self._report, self._patience)
                await self._send(file, known.upload_url, video.id, await upload.offset())
        except (UploadGoneError, ServerRefusedError) as error:
            if isinstance(error, ServerRefusedError) and error.status not in GONE:
                raise
            self._remembered.forget(self._api.server, file)
            self.stage.video_id = None
            return False
        self.stage.is_uploaded = True
        return True

    async def _send(self, file: SourceFile, url: str, video_id: str, offset: int) -> None:
        self._report.uploading(file, video_id, offset)
        started = time.monotonic()
        upload = TusUpload(self._api, url, file, self._report, self._patience)
        await upload.send(offset)
        self.stage.is_uploaded = True
        took_s = time.monotonic() - started
        self._report.uploaded(file, video_id, file.size_bytes - offset, took_s)

    async def _follow(self, file: SourceFile) -> None:
        assert self.stage.video_id is not None
        announced = False
        states = follow(self._api, self.stage.video_id, self._patience)
        async with contextlib.aclosing(states):
            async for video in states:
                if video.state == "failed":
                    raise VideoFailedError(_reason(video))
                self._report.encoding(video)
                if video.is_watchable and not announced:
                    self._report.playable(file, video)
                    announced = True
                if announced and not self._wait:
                    return
                if video.state == "ready":
                    self._report.ready(file, video)


def how_to_go_on(stage: Stage, server: str) -> str:
    """Return the sentence that a person reads after Ctrl-C."""
    if stage.path is None:
        return "Stopped before anything was sent."
    name = readable(stage.path.name)
    if stage.is_uploaded:
        return (
            f"Stopped watching: {name} is uploaded and the server goes on with it "
            f"({server}/api/v1/videos/{stage.video_id}); the same command watches it again."
        )
    return f"Stopped: run the same command again and the upload of {name} goes on."


def _reason(video: Video) -> str:
    return video.reason or VideoFailedError().detail
