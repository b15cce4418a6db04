"""What is downloaded is what was published: one MP4 per rendition, and HLS of its byte ranges."""

import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import httpx
import m3u8
import pytest
from playwright.sync_api import Browser

from reelay.common.testing.media import BITS, Media, click_times_s, read_numbers

from .conftest import Instance, open_player
from .test_browser import advances
from .test_playback import CLICK_TOLERANCE_S, Published, expected_pictures, ffprobe, publish

pytestmark = pytest.mark.e2e

PATIENCE_MS = 60_000


def fetched(package: Published, rendition: dict[str, Any]) -> tuple[str, Path]:
    """Download the file of a rendition; return its URL and where it lies."""
    url = f"{package.hls.rsplit('/', 1)[0]}/downloads/{rendition['id']}.mp4"
    target = package.folder / f"{rendition['id']}.mp4"
    answer = httpx.get(url, timeout=60).raise_for_status()
    assert answer.headers["content-length"] == str(len(answer.content))
    target.write_bytes(answer.content)
    return url, target


def times(file: Path, stream: str) -> list[tuple[Fraction, Fraction]]:
    """Return presentation and decode time of each packet of a stream, in seconds."""
    report = ffprobe(file, "packet=pts,dts:stream=time_base", "-select_streams", stream)
    base = Fraction(report["streams"][0]["time_base"])
    return [(packet["pts"] * base, packet["dts"] * base) for packet in report["packets"]]


def test_downloaded_files_show_every_picture_and_sound_at_its_time(
    instance: Instance, media: Media, tmp_path: Path
) -> None:
    source = media.numbered(11.3, "30000/1001", (854, 480))
    package = publish(instance, source, tmp_path)
    rate = Fraction(30000, 1001)
    videos = [r for r in package.renditions() if r["kind"] == "video"]
    assert [r["id"] for r in videos] == ["360p", "480p"]
    for rendition in videos:
        url, file = fetched(package, rendition)
        pictures = times(file, "v:0")
        count = len(pictures)
        assert sorted(p[0] for p in pictures) == [n / rate for n in range(count)]
        assert pictures == times(package.track(rendition), "v:0")
        sound = times(file, "a:0")
        assert sound == times(package.track(package.renditions()[-1]), "a:0")
        streams = ffprobe(file, "stream=codec_name:format=duration")
        assert [s["codec_name"] for s in streams["streams"]] == ["h264", "aac"]
        numbers = expected_pictures(source, rate, count)
        playlist = url.replace(".mp4", ".m3u8")
        for place in (str(file), url, playlist):
            assert read_numbers(place) == numbers
            clicks = [click for click in click_times_s(place) if click > 0.5]
            assert len(clicks) == 11
            for second, click in enumerate(clicks, 1):
                assert abs(click - second) < CLICK_TOLERANCE_S


def test_ranges_and_playlists_of_a_file_lead_to_the_segments(
    instance: Instance, media: Media, tmp_path: Path
) -> None:
    package = publish(instance, media.numbered(11.3, "25", (640, 360)), tmp_path)
    url, file = fetched(package, package.renditions()[0])
    content = file.read_bytes()
    randomly = random.Random(5)
    with httpx.Client(timeout=30) as client:
        for _ in range(20):
            start, end = sorted(randomly.sample(range(len(content)), 2))
            answer = client.get(url, headers={"range": f"bytes={start}-{end}"})
            assert (answer.status_code, answer.content) == (206, content[start : end + 1])
    master = m3u8.load(url.replace(".mp4", ".m3u8"))
    for uri, rendition in [
        (master.playlists[0].absolute_uri, package.renditions()[0]),
        (master.media[0].absolute_uri, package.renditions()[-1]),
    ]:
        playlist = m3u8.load(uri)
        joined = b""
        for part in (playlist.segment_map[0], *playlist.segments):
            assert part.absolute_uri == url
            length, start = map(int, part.byterange.split("@"))
            joined += content[start : start + length]
        assert joined == package.track(rendition).read_bytes()


@pytest.mark.browser
def test_browser_plays_and_seeks_in_the_file(
    instance: Instance, chromium: Browser, player_url: str, media: Media, tmp_path: Path
) -> None:
    source = media.numbered(seconds=24, rate="25", size=(640, 360))
    package = publish(instance, source, tmp_path)
    url = f"{package.hls.rsplit('/', 1)[0]}/downloads/360p.mp4"
    page = open_player(chromium, player_url, "file", url)
    try:
        page.wait_for_function("document.getElementById('video').readyState > 1")
        assert page.evaluate("document.getElementById('video').duration") == pytest.approx(
            24, abs=0.03
        )
        page.evaluate("document.getElementById('video').pause()")
        for position_s in (18.02, 3.02):
            page.evaluate(f"document.getElementById('video').currentTime = {position_s}")
            page.wait_for_function(
                "!document.getElementById('video').seeking"
                " && document.getElementById('video').readyState > 1",
                timeout=PATIENCE_MS,
            )
            bits = page.evaluate(f"readBits({BITS})")
            shown = sum(bit << (BITS - 1 - i) for i, bit in enumerate(bits))
            assert shown == int(position_s * 25)
        page.evaluate("document.getElementById('video').currentTime = 23")
        page.evaluate("document.getElementById('video').play()")
        page.wait_for_function("window.seen.ended", timeout=PATIENCE_MS)
        assert page.evaluate("window.errors") == []
    finally:
        page.close()


@pytest.mark.browser
def test_browser_plays_byte_ranges_with_hls_js(
    instance: Instance, chromium: Browser, player_url: str, media: Media, tmp_path: Path
) -> None:
    package = publish(instance, media.numbered(seconds=24, rate="25", size=(640, 360)), tmp_path)
    assert package.video["playback"]["downloads"] == [
        {
            "rendition": "360p",
            "path": f"/api/v1/content/{package.video['package_id']}/downloads/360p.mp4",
            "hls": f"/api/v1/content/{package.video['package_id']}/downloads/360p.m3u8",
        }
    ]
    url = instance.url + package.video["playback"]["downloads"][0]["hls"]
    page = open_player(chromium, player_url, "hls", url)
    try:
        advances(page, beyond_s=0.5)
        page.evaluate("document.getElementById('video').currentTime = 22.5")
        page.wait_for_function("window.seen.ended", timeout=PATIENCE_MS)
        assert page.evaluate("window.errors") == []
    finally:
        page.close()
