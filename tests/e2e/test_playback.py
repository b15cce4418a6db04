"""What was published is what plays: every picture, every sound, on every rendition."""

import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from threading import Barrier
from typing import Any

import httpx
import m3u8
import pytest

from reelay.common.testing.media import (
    Media,
    click_times_s,
    ffprobe_binary,
    read_all_numbers,
    read_numbers,
    shaka_binary,
)
from reelay.common.testing.servers import wait_until

from .conftest import Instance
from .uploads import Upload

pytestmark = pytest.mark.e2e

CLICK_TOLERANCE_S = 0.001
VFR = "select='not(eq(mod(n,7),3))*not(between(mod(n,50),20,29))'"
"""Of 50 frames/s drops one of seven and a fifth of a second in each second."""


@dataclass
class Published:
    """A package that is ready, fetched whole."""

    video: dict[str, Any]
    hls: str
    dash: str
    folder: Path

    def renditions(self) -> list[dict[str, Any]]:
        """Return the renditions as plan.json lists them."""
        plan: dict[str, Any] = json.loads((self.folder / "plan.json").read_text())
        renditions: list[dict[str, Any]] = plan["renditions"]
        return renditions

    def track(self, rendition: dict[str, Any]) -> Path:
        """Return init segment and media segments of a rendition as one file."""
        folder = self.folder / rendition["path"]
        whole = folder / "whole.mp4"
        if not whole.exists():
            parts = ["init.mp4", *(f"{n}.m4s" for n in range(1, rendition["segments"] + 1))]
            whole.write_bytes(b"".join((folder / part).read_bytes() for part in parts))
        return whole


def publish(instance: Instance, source: Path, folder: Path) -> Published:
    """Publish a file, wait until it is ready, fetch every object that its index lists."""
    events = instance.publish(source)
    playable = next(e for e in events if e["event"] == "playable")
    assert events[-1]["event"] == "ready", events
    base = playable["hls"].rsplit("/", 1)[0]
    with httpx.Client(timeout=30) as client:
        listing = client.get(f"{base}/index.json").raise_for_status().json()
        for path, facts in listing["objects"].items():
            answer = client.get(f"{base}/{path}").raise_for_status()
            assert len(answer.content) == facts["size"]
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(answer.content)
    video = instance.video(playable["video_id"])
    return Published(video, playable["hls"], playable["dash"], folder)


def ffprobe(path: Path, entries: str, *options: str) -> dict[str, Any]:
    """Return ffprobe's report."""
    argv = [ffprobe_binary(), "-v", "error", *options, "-show_entries", entries]
    argv += ["-print_format", "json", str(path)]
    report: dict[str, Any] = json.loads(
        subprocess.run(argv, check=True, capture_output=True).stdout
    )
    return report


def packets(track: Path) -> list[tuple[Fraction, Fraction, Fraction]]:
    """Return presentation time, decode time and duration of each packet, in seconds."""
    report = ffprobe(track, "packet=pts,dts,duration:stream=time_base")
    base = Fraction(report["streams"][0]["time_base"])
    return [(p["pts"] * base, p["dts"] * base, p["duration"] * base) for p in report["packets"]]


def expected_pictures(source: Path, rate: Fraction, count: int) -> list[int]:
    """Return which source picture each planned frame shows: the last that began by then."""
    shown = sorted((round(p[0] * rate), p[0]) for p in packets_of_video(source))
    numbers = read_numbers(str(source))
    ticks = [tick for tick, _ in shown]
    result, current = [], 0
    for frame in range(count):
        while current + 1 < len(ticks) and ticks[current + 1] <= frame:
            current += 1
        result.append(numbers[current])
    return result


def packets_of_video(source: Path) -> list[tuple[Fraction, Fraction]]:
    report = ffprobe(source, "packet=pts,duration:stream=time_base", "-select_streams", "v:0")
    base = Fraction(report["streams"][0]["time_base"])
    return [(p["pts"] * base, p.get("duration", 0) * base) for p in report["packets"]]


@pytest.mark.parametrize(
    ("rate", "planned", "filters"),
    [
        ("25", Fraction(25), "null"),
        ("30000/1001", Fraction(30000, 1001), "null"),
        ("60000/1001", Fraction(60000, 1001), "null"),
        ("50", Fraction(0), VFR),
    ],
    ids=["25", "29.97", "59.94", "variable"],
)
def test_every_rendition_shows_the_right_pictures_at_the_right_times(
    instance: Instance, media: Media, tmp_path: Path, rate: str, planned: Fraction, filters: str
) -> None:
    source = media.numbered(11.3, rate, (854, 480), filters=filters, output=("-fps_mode", "vfr"))
    package = publish(instance, source, tmp_path)
    plan = json.loads((tmp_path / "plan.json").read_text())
    actual = Fraction(*plan["recipe"]["rate"])
    assert planned in (0, actual)
    count = plan["recipe"]["frames"]
    pictures = expected_pictures(source, actual, count)
    videos = [r for r in package.renditions() if r["kind"] == "video"]
    assert [r["id"] for r in videos] == ["360p", "480p"]
    for url in (package.hls, package.dash):
        assert read_all_numbers(url, len(videos)) == [pictures] * len(videos)
    for rendition in videos:
        check_timestamps(package.track(rendition), 1 / actual, count)
    audio = next(r for r in package.renditions() if r["kind"] == "audio")
    aac = Fraction(1024, 48000)
    check_timestamps(package.track(audio), aac, -(-Fraction(count / actual) // aac))
    for url in (package.hls, package.dash):
        clicks = [click for click in click_times_s(url) if click > 0.5]  # AAC fades in at 0
        assert len(clicks) == 11
        for second, click in enumerate(clicks, 1):
            assert abs(click - second) < CLICK_TOLERANCE_S


def check_timestamps(track: Path, frame_s: Fraction, count: int | Fraction) -> None:
    """Assert that a track is gapless from zero, both ends included."""
    listed = packets(track)
    assert len(listed) == count
    assert sorted(p[0] for p in listed) == [n * frame_s for n in range(int(count))]
    assert all(b[1] - a[1] == frame_s for a, b in pairwise(listed))


def test_composed_manifests_agree_with_shaka_packagers_own(
    instance: Instance, media: Media, tmp_path: Path
) -> None:
    package = publish(instance, media.numbered(11.3, "30000/1001", (854, 480)), tmp_path)
    own = tmp_path / "shaka"
    own.mkdir()
    argv = [shaka_binary(), "--quiet", "--segment_duration", "1", "--mpd_output",
            str(own / "manifest.mpd"), "--hls_master_playlist_output", str(own / "master.m3u8"),
            "--generate_static_live_mpd"]  # fmt: skip
    for rendition in package.renditions():
        name, kind = rendition["id"], rendition["kind"]
        group = ",hls_group_id=audio,hls_name=Sound" if kind == "audio" else ""
        argv.append(
            f"in={package.track(rendition)},stream={kind},init_segment={own}/{name}/init.mp4,"
            f"segment_template={own}/{name}/$Number$.m4s,playlist_name={name}.m3u8{group}"
        )
    subprocess.run(argv, check=True, capture_output=True)
    ours = m3u8.load(str(tmp_path / "master.m3u8"))
    theirs = m3u8.load(str(own / "master.m3u8"))

    def variants(master: m3u8.M3U8) -> list[tuple[Any, ...]]:
        return sorted(
            (p.stream_info.resolution, p.stream_info.codecs, p.stream_info.frame_rate)
            for p in master.playlists
        )

    assert variants(ours) == variants(theirs)
    for rendition in package.renditions():
        promised = m3u8.load(str(tmp_path / rendition["path"] / "index.m3u8"))
        cut = m3u8.load(str(own / f"{rendition['id']}.m3u8"))
        if rendition["kind"] == "video":
            lengths = [round(s.duration, 3) for s in promised.segments]
            assert lengths == [round(s.duration, 3) for s in cut.segments]
        total = sum(s.duration for s in promised.segments)
        assert abs(total - sum(s.duration for s in cut.segments)) < 0.001 * len(cut.segments)


def test_measured_peak_rate_stays_below_the_declared_bandwidth(
    instance: Instance, media: Media, tmp_path: Path
) -> None:
    noise = media.make(
        ["-f", "lavfi", "-i", "nullsrc=s=640x360:r=25,geq=random(1)*255:128:128",
         "-f", "lavfi", "-i", "anoisesrc=r=48000", "-t", "9", "-c:v", "libx264", "-preset",
         "ultrafast", "-crf", "30", "-pix_fmt", "yuv420p", "-c:a", "aac"], "mp4",
    )  # fmt: skip
    package = publish(instance, noise, tmp_path)
    master = m3u8.load(str(tmp_path / "master.m3u8"))
    audio = peak_bps(package, next(r for r in package.renditions() if r["kind"] == "audio"))
    for variant in master.playlists:
        rendition = next(
            r for r in package.renditions() if variant.uri == f"{r['path']}/index.m3u8"
        )
        peak = peak_bps(package, rendition) + audio
        assert peak <= variant.stream_info.bandwidth
        assert peak > 0.3 * variant.stream_info.bandwidth, "the source does not test the limit"


def peak_bps(package: Published, rendition: dict[str, Any]) -> float:
    """Return the peak segment bit rate as RFC 8216, section 4.1, defines it.

    The largest rate of any contiguous set of segments that lasts 0.5 to 1.5 target durations.
    """
    folder = package.folder / rendition["path"]
    playlist = m3u8.load(str(folder / "index.m3u8"))
    sizes = [(folder / s.uri).stat().st_size * 8 for s in playlist.segments]
    lengths = [s.duration for s in playlist.segments]
    target = playlist.target_duration
    peak = 0.0
    for first in range(len(sizes)):
        for last in range(first + 1, len(sizes) + 1):
            duration = sum(lengths[first:last])
            if 0.5 * target <= duration <= 1.5 * target:
                peak = max(peak, sum(sizes[first:last]) / duration)
    return peak


def test_same_file_published_again_is_ready_at_once_and_encodes_nothing(
    instance: Instance, media: Media, tmp_path: Path
) -> None:
    source = media.numbered(5.5, "25", (426, 240))
    first = publish(instance, source, tmp_path)
    logged = encodes(instance)
    again = tmp_path / "copy with another name.mp4"
    again.write_bytes(source.read_bytes())
    events = instance.publish(again)
    assert events[-1]["event"] == "ready"
    second = instance.video(events[-1]["video_id"])
    assert second["id"] != first.video["id"]
    assert second["package_id"] == first.video["package_id"]
    assert encodes(instance) == logged


def test_same_bytes_sent_twice_at_the_same_time_make_one_package(
    instance: Instance, media: Media
) -> None:
    source = media.numbered(31, "25", (426, 240))
    uploads = [Upload(instance, source).begin() for _ in range(2)]
    together = Barrier(len(uploads), timeout=60)
    with ThreadPoolExecutor(len(uploads)) as pool:
        list(pool.map(lambda upload: upload.send(together.wait), uploads))

    def videos() -> list[dict[str, Any]]:
        return [instance.video(upload.video_id) for upload in uploads]

    wait_until(lambda: {v["state"] for v in videos()} <= {"ready", "failed"}, "both are made", 120)
    assert [video["state"] for video in videos()] == ["ready", "ready"]
    [package_id] = {video["package_id"] for video in videos()}
    playback = instance.url + videos()[0]["playback"]["hls"]
    assert read_all_numbers(playback, 1) == [list(range(31 * 25))]
    made = dispatched(instance, package_id)
    assert made
    assert len(made) == len(set(made)), "a segment was made twice"


def dispatched(instance: Instance, package_id: str) -> list[tuple[str, int]]:
    """Return rendition and number of every segment that became work, as often as it did."""
    chunk = re.compile(
        rf"dispatched .*package_id={package_id}.* renditions=(\S+) segments=(\d+)-(\d+) attempt=1\b"
    )
    return [
        (rendition, number)
        for names, first, last in chunk.findall(
            (instance.data / "log" / "packager.log").read_text()
        )
        for rendition in names.split(",")
        for number in range(int(first), int(last) + 1)
    ]


def encodes(instance: Instance) -> int:
    """Return how many chunks the packager has dispatched so far."""
    return (instance.data / "log" / "packager.log").read_text().count("dispatched")
