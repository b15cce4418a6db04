"""A real Chromium plays what was published, with hls.js and with Shaka Player."""

import time

import pytest
from playwright.sync_api import Browser, Page

from reelay.common.testing.media import BITS, Media
from reelay.common.testing.servers import wait_until

from .conftest import Instance, open_player
from .uploads import Upload

pytestmark = [pytest.mark.e2e, pytest.mark.browser]

PATIENCE_MS = 60_000
SOUGHT_WITHIN_S = 3.0
"""From the upload's end: what is promised."""
SEEN_WITHIN_S = 10.0
"""From the upload's end until the first picture there is read, beside other tests on two cores."""
MINUTES = 20
RATE = 10


@pytest.mark.parametrize(("player", "manifest"), [("hls", "hls"), ("shaka", "dash")])
def test_browser_plays_seeks_and_reaches_the_end(
    instance: Instance,
    chromium: Browser,
    player_url: str,
    media: Media,
    player: str,
    manifest: str,
) -> None:
    source = media.numbered(seconds=12, rate="25", size=(640, 360))
    playable = next(e for e in instance.publish(source) if e["event"] == "playable")
    page = open_player(chromium, player_url, player, playable[manifest])
    try:
        advances(page, beyond_s=0.5)
        page.evaluate("document.getElementById('video').currentTime = 6")
        advances(page, beyond_s=6.3)
        page.evaluate("document.getElementById('video').currentTime = 10.5")
        page.wait_for_function("window.seen.ended", timeout=PATIENCE_MS)
        duration = page.evaluate("document.getElementById('video').duration")
        assert 12 <= duration < 12.03
        assert page.evaluate("window.errors") == []
    finally:
        page.close()


def test_far_position_of_a_long_video_plays_right_after_its_upload(
    instance: Instance, chromium: Browser, player_url: str, media: Media
) -> None:
    source = media.numbered(
        MINUTES * 60, str(RATE), filters="scale=1280:720:flags=neighbor", sound=True,
        output=("-g", str(5 * RATE), "-crf", "30"),
    )  # fmt: skip
    position_s = 0.9 * MINUTES * 60
    page = chromium.new_page()
    page.goto(player_url)
    page.wait_for_function("window.openAt !== undefined && window.Hls !== undefined")
    upload = Upload(instance, source).begin()
    try:
        upload.send()
        hls = planned_at(instance, upload.video_id)
        planned_s = time.monotonic() - upload.ended_at
        page.evaluate("([hls, at]) => openAt('hls', hls, at)", [hls, position_s])
        sought_s = time.monotonic() - upload.ended_at
        assert instance.video(upload.video_id)["progress"] < 0.5, "nothing is left to prove"
        first = picture_after(page, position_s * RATE)
        seen_s = time.monotonic() - upload.ended_at
        assert first < (position_s + SEEN_WITHIN_S) * RATE
        advances(page, beyond_s=position_s + 1.5)
        picture_after(page, first + 1)
        print(f"\nplanned {planned_s:.2f} s after the upload's end, sought {sought_s:.2f} s, "
              f"first picture seen {seen_s:.2f} s")  # fmt: skip
        assert sought_s < SOUGHT_WITHIN_S
        assert seen_s < SEEN_WITHIN_S
    finally:
        page.close()
        instance.delete(upload.video_id)


def planned_at(instance: Instance, video_id: str) -> str:
    """Return where a video is promised, as soon as it is."""
    playback: dict[str, str] = {}

    def planned() -> bool:
        playback.update(instance.video(video_id).get("playback") or {})
        return bool(playback)

    wait_until(planned, "the video is planned", PATIENCE_MS / 1000)
    return instance.url + playback["hls"]


def picture_after(page: Page, number: float) -> int:
    """Wait for a picture that carries `number` or a higher one; return the one it carries."""
    handle = page.wait_for_function(
        f"(n => n >= {number} ? n : window.errors.length ? -1 : 0)(readNumber({BITS}))",
        timeout=PATIENCE_MS,
    )
    shown = int(handle.json_value())
    assert page.evaluate("window.errors") == []
    return shown


def advances(page: Page, beyond_s: float) -> None:
    """Wait until playback has passed a time and still moves."""
    page.wait_for_function(
        f"document.getElementById('video').currentTime > {beyond_s} || window.errors.length > 0",
        timeout=PATIENCE_MS,
    )
    assert page.evaluate("window.errors") == []
