"""A real Chromium plays what was published, with hls.js and with Shaka Player."""

import pytest
from playwright.sync_api import Browser, Page

from reelay.common.testing.media import Media

from .conftest import Instance, open_player

pytestmark = [pytest.mark.e2e, pytest.mark.browser]

PATIENCE_MS = 60_000


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


def advances(page: Page, beyond_s: float) -> None:
    """Wait until playback has passed a time and still moves."""
    page.wait_for_function(
        f"document.getElementById('video').currentTime > {beyond_s} || window.errors.length > 0",
        timeout=PATIENCE_MS,
    )
    assert page.evaluate("window.errors") == []
