"""A real Chromium plays what was published, with hls.js and with Shaka Player."""

import time
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page

from reelay.common.testing.media import BITS, Media

from .conftest import Instance, open_player

pytestmark = [pytest.mark.e2e, pytest.mark.browser]

PATIENCE_MS = 60_000
SOUGHT_WITHIN_S = 3.0


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
    minutes = 20
    source = media.numbered(
        minutes * 60, filters="scale=640:360:flags=neighbor", sound=True,
        output=("-g", "125", "-crf", "30"),
    )  # fmt: skip
    page = chromium.new_page()
    page.goto(player_url)
    playable = instance.publish(source, wait=False)[-1]
    assert playable["event"] == "playable"
    published_at = time.monotonic()
    position_s = 0.9 * minutes * 60
    try:
        page.goto(f"{player_url}?player=hls&source={quote(playable['hls'], safe='')}")
        page.wait_for_function("document.getElementById('video').readyState > 0")
        page.evaluate(f"document.getElementById('video').currentTime = {position_s}")
        sought_after_s = time.monotonic() - published_at
        assert instance.video(playable["video_id"])["progress"] < 0.5, "nothing is left to prove"
        advances(page, beyond_s=position_s + 0.5)
        first = shown_frame(page)
        assert first >= 25 * position_s
        advances(page, beyond_s=position_s + 1.5)
        assert shown_frame(page) > first
        assert sought_after_s < SOUGHT_WITHIN_S
    finally:
        page.close()
        instance.delete(playable["video_id"])


def shown_frame(page: Page) -> int:
    """Return the number that the present picture carries."""
    bits = page.evaluate(f"readBits({BITS})")
    return sum(bit << (BITS - 1 - i) for i, bit in enumerate(bits))


def advances(page: Page, beyond_s: float) -> None:
    """Wait until playback has passed a time and still moves."""
    page.wait_for_function(
        f"document.getElementById('video').currentTime > {beyond_s} || window.errors.length > 0",
        timeout=PATIENCE_MS,
    )
    assert page.evaluate("window.errors") == []
