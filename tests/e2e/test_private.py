"""A private video plays for those who may see it, and for nobody else."""

import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from reelay.common.testing.media import Media, read_all_numbers

from .conftest import Instance, start_instance

pytestmark = pytest.mark.e2e

WITHIN_S = 1.0
"""What a change may take to be heard by the content API."""
LIFETIME_S = 20
"""Of the tokens in paths; long enough to play a film of some seconds."""


class Owner:
    """The administrator, who publishes private videos and plays them."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.http = httpx.Client(
            base_url=f"{instance.url}/api/v1/videos",
            headers={"authorization": f"Bearer {instance.token}"},
            timeout=60,
        )

    def publish(self, source: Path, visibility: str) -> str:
        done = self.instance.reelay("publish", "--json", "--visibility", visibility, str(source))
        last: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        assert last["event"] == "ready", done
        video_id: str = last["video_id"]
        return video_id

    def video(self, video_id: str) -> dict[str, Any]:
        document: dict[str, Any] = self.http.get(f"/{video_id}").raise_for_status().json()
        return document

    def show_to(self, video_id: str, visibility: str) -> None:
        self.http.patch(f"/{video_id}", json={"visibility": visibility}).raise_for_status()

    def hls(self, video_id: str) -> str:
        return self.instance.url + str(self.video(video_id)["playback"]["hls"])

    def plain(self, video_id: str) -> str:
        package_id = self.video(video_id)["package_id"]
        return f"{self.instance.url}/api/v1/content/{package_id}/master.m3u8"


def until(url: str, status: int) -> float:
    """Return how long it took until `url` is answered so."""
    began = time.monotonic()
    while (last := httpx.get(url).status_code) != status:
        assert time.monotonic() - began < 60, f"still {last}"
        time.sleep(0.01)
    return time.monotonic() - began


def test_private_video_plays_with_its_token_alone(tmp_path: Path, media: Media) -> None:
    instance = start_instance(tmp_path / "data", CATALOG_PLAYBACK_TOKEN_S=str(LIFETIME_S))
    try:
        owner = Owner(instance)
        first = media.numbered(6, "25", (320, 180))
        video_id = owner.publish(first, "private")
        plain = owner.plain(video_id)
        assert httpx.get(f"{instance.url}/api/v1/videos/{video_id}").status_code == 404
        assert httpx.get(f"{instance.url}/api/v1/videos").json()["videos"] == []
        assert httpx.get(plain).status_code == 404
        playback = owner.video(video_id)["playback"]
        for kind in ("hls", "dash"):
            assert read_all_numbers(instance.url + playback[kind], 1) == [list(range(150))]
        file = "downloads/180p.mp4"
        assert httpx.get(plain.replace("master.m3u8", file)).status_code == 404
        below = (instance.url + playback["hls"]).removesuffix("master.m3u8")
        for path in ("master.m3u8", file):
            private = httpx.get(below + path)
            assert private.status_code == 200
            assert private.headers["cache-control"].startswith("private,")
        tokens_are_bound(owner, video_id, media)
        changes_are_heard(owner, video_id)
        sharing_keeps_it_open_and_deletion_closes_it(owner, video_id, first)
        owner.http.close()
    finally:
        instance.stop()


def tokens_are_bound(owner: Owner, video_id: str, media: Media) -> None:
    """Assert that a token is good for its package, as it is, and for its time."""
    url = owner.hls(video_id)
    head, _, rest = url.partition("/~")
    token = rest.partition("/")[0]
    for forged in (token[:-6] + "AAAAAA", token[:-1], token.replace(".", "", 1), "x"):
        assert httpx.get(f"{head}/~{forged}/master.m3u8").status_code == 404
    other = owner.publish(media.numbered(4, "25", (320, 180)), "private")
    other_token = urlsplit(owner.hls(other)).path.partition("/~")[2].partition("/")[0]
    assert httpx.get(f"{head}/~{other_token}/master.m3u8").status_code == 404
    assert httpx.get(owner.hls(other)).status_code == 200
    until(url, 403)
    assert httpx.get(url).json()["type"] == "link-expired"
    assert httpx.get(owner.hls(video_id)).status_code == 200


def changes_are_heard(owner: Owner, video_id: str) -> None:
    """Assert that a video opens and closes for others within a second, most times."""
    plain = owner.plain(video_id)
    took = []
    for _ in range(3):
        owner.show_to(video_id, "public")
        took.append(until(plain, 200))
        assert httpx.get(plain).headers["cache-control"].startswith("public,")
        owner.show_to(video_id, "private")
        took.append(until(plain, 404))
    print(f"\nchanges were heard {[round(each, 3) for each in took]} s after they were answered")
    assert sorted(took)[len(took) // 2] < WITHIN_S


def sharing_keeps_it_open_and_deletion_closes_it(owner: Owner, video_id: str, same: Path) -> None:
    """Assert what becomes of a package of two videos when one and then the other goes."""
    plain = owner.plain(video_id)
    shared = owner.publish(same, "unlisted")
    assert owner.plain(shared) == plain
    until(plain, 200)
    owner.instance.delete(shared)
    until(plain, 404)
    with_token = owner.hls(video_id)
    assert httpx.get(with_token).status_code == 200
    owner.instance.delete(video_id)
    print(f"\na deletion was heard {until(with_token, 404):.3f} s after it was answered")
    assert httpx.get(plain).status_code == 404
