"""What a player receives: plain paths for what others may see, tokens for private videos."""

import json

import httpx
import jwt
import pytest

from reelay.catalog.cdn.health import CdnHosts
from reelay.catalog.cdn.hosts import CdnHost
from reelay.catalog.videos.documents import VideoDocument
from reelay.catalog.videos.playback import Playbacks
from reelay.catalog.videos.recording import change_of
from reelay.common.tokens import TokenSigner

from .test_documents import row

PACKAGE = "a" * 64
SIGNER = TokenSigner(TokenSigner.new_private_key())


class Clock:
    now_s = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def playbacks(clock: Clock) -> Playbacks:
    return Playbacks(SIGNER, CdnHosts([], 60, httpx.AsyncClient()), 3600, now=clock)


def token_of(video: VideoDocument) -> str:
    assert video.playback is not None
    head, _, rest = video.playback.hls.partition("/~")
    token, _, path = rest.partition("/")
    assert (head, path) == (f"/api/v1/content/{PACKAGE}", "master.m3u8")
    assert video.playback.dash == f"{head}/~{token}/manifest.mpd"
    return token


@pytest.mark.parametrize("visibility", ["public", "unlisted"])
def test_paths_of_what_others_may_see_have_no_token(playbacks: Playbacks, visibility: str) -> None:
    video = VideoDocument.of(row(state="ready", package_id=PACKAGE, visibility=visibility))
    assert playbacks.complete(video) == video


def test_token_is_bound_to_package_video_and_time(playbacks: Playbacks, clock: Clock) -> None:
    video = VideoDocument.of(row(state="ready", package_id=PACKAGE, visibility="private"))
    token = token_of(playbacks.complete(video))
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["sub"] == PACKAGE
    assert claims["vid"] == str(video.id)
    assert 3600 <= claims["exp"] - clock.now_s <= 3600 * 1.25


def test_viewers_of_one_time_have_one_path_and_later_ones_another(
    playbacks: Playbacks, clock: Clock
) -> None:
    video = VideoDocument.of(row(state="ready", package_id=PACKAGE, visibility="private"))
    clock.now_s = 900 * 1000 + 1
    first = token_of(playbacks.complete(video))
    clock.now_s += 890
    assert token_of(playbacks.complete(video)) == first
    clock.now_s += 20
    assert token_of(playbacks.complete(video)) != first


def test_private_video_without_a_package_has_no_playback(playbacks: Playbacks) -> None:
    video = VideoDocument.of(row(visibility="private"))
    assert playbacks.complete(video).playback is None


def test_live_update_has_the_token_and_the_log_of_changes_has_none(playbacks: Playbacks) -> None:
    change = change_of(row(state="ready", package_id=PACKAGE, visibility="private"))
    assert "~" not in change.body
    told = VideoDocument.model_validate_json(playbacks.completed_body(change))
    assert token_of(told)
    public = change_of(row(state="ready", package_id=PACKAGE))
    assert playbacks.completed_body(public) is public.body


async def test_hosts_are_in_the_playback_of_answers_and_updates() -> None:
    everywhere = httpx.MockTransport(lambda _: httpx.Response(200))
    client = httpx.AsyncClient(transport=everywhere)
    hosts = CdnHosts([CdnHost(url="https://cdn.example", weight=2)], 60, client)
    playbacks = Playbacks(SIGNER, hosts, 3600)
    change = change_of(row(state="ready", package_id=PACKAGE))
    assert json.loads(playbacks.completed_body(change))["playback"]["hosts"] == []
    await hosts.probe()
    told = json.loads(playbacks.completed_body(change))["playback"]
    assert told["hosts"] == [{"url": "https://cdn.example", "weight": 2.0}]
    assert told["hls"] == f"/api/v1/content/{PACKAGE}/master.m3u8"
