"""What a player needs besides the video: paths that it may fetch now, and hosts to fetch from."""

import time
from collections.abc import Callable
from uuid import UUID

from reelay.catalog.cdn.health import CdnHosts
from reelay.catalog.live.log import Change, ChangeKind
from reelay.catalog.videos.documents import (
    Playback,
    PlaybackHost,
    VideoDocument,
    content_path,
    downloadable,
)
from reelay.catalog.videos.visibility import Visibility
from reelay.common.content_access import TOKEN_MARK, Grant, sign_grant
from reelay.common.tokens import TokenSigner

STEPS = 4
"""Tokens end on the quarters of their lifetime, so that all viewers of some time get the same one
and what they fetch has the same paths."""


class Playbacks:
    """Completes documents at the moment when they are sent."""

    def __init__(
        self,
        signer: TokenSigner,
        hosts: CdnHosts,
        lifetime_s: float,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`lifetime_s` is how long a token is good at least; `now` returns POSIX time."""
        self._signer = signer
        self._hosts = hosts
        self._step_s = lifetime_s / STEPS
        self._now = now

    def complete(self, video: VideoDocument) -> VideoDocument:
        """Return the document of a video for one who may see it."""
        if video.playback is None or video.package_id is None:
            return video
        hosts = [PlaybackHost(url=host.url, weight=host.weight) for host in self._hosts.draw()]
        content = content_path(video.package_id)
        if video.visibility is Visibility.PRIVATE:
            content += f"/{TOKEN_MARK}{self._token(video.package_id, video.id)}"
        files = downloadable(video.state, video.renditions)
        return video.model_copy(update={"playback": Playback.below(content, hosts, files)})

    def completed_body(self, change: Change) -> str:
        """Return the body of a change for one who may see it; most need nothing more."""
        plain = change.visibility != Visibility.PRIVATE and not self._hosts.any
        if plain or change.kind is ChangeKind.DELETED:
            return change.body
        return self.complete(VideoDocument.model_validate_json(change.body)).model_dump_json()

    def _token(self, package_id: str, video_id: UUID) -> str:
        steps = self._now() // self._step_s + STEPS + 1
        return sign_grant(self._signer, Grant(package_id, str(video_id), steps * self._step_s))
