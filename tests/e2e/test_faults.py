"""Plugs are pulled in the middle of an encode; nothing is lost and nothing is written twice."""

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import httpx
import pytest

from reelay.common.testing.media import Media, read_all_numbers
from reelay.common.testing.servers import answers, wait_until

from .conftest import Instance, start_instance

pytestmark = pytest.mark.e2e

RECOVERY_S = 180.0


class Witness:
    """Watches the objects of all packages: an object that is there never becomes another."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: dict[Path, tuple[int, int]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.changed: list[Path] = []

    def __enter__(self) -> "Witness":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.1):
            self.look()

    def look(self) -> None:
        """Compare what is there with what was."""
        for path in self._folder.rglob("*.m*"):
            try:
                facts = path.stat()
            except FileNotFoundError:
                continue
            identity = (facts.st_ino, facts.st_mtime_ns)
            if self._seen.setdefault(path, identity) != identity:
                self.changed.append(path)


def test_video_becomes_ready_whatever_is_killed_in_the_middle(
    own_instance: Instance, media: Media
) -> None:
    source = media.numbered(40, "25", (854, 480))
    with Witness(own_instance.data / "store" / "packages") as witness:
        playable = own_instance.publish(source, wait=False)[-1]
        assert playable["event"] == "playable"
        for victim in ("encoder", "packager", "nats", "postgres"):
            until_progress(own_instance, playable["video_id"])
            os.kill(own_instance.pids()[victim], signal.SIGKILL)
        wait_until(
            lambda: state(own_instance, playable["video_id"]) in ("ready", "failed"),
            "the video is ready",
            RECOVERY_S,
        )
        witness.look()
    assert state(own_instance, playable["video_id"]) == "ready"
    assert witness.changed == []
    assert read_all_numbers(playable["hls"], 2) == [list(range(1000))] * 2
    assert read_all_numbers(playable["dash"], 2) == [list(range(1000))] * 2
    base = playable["hls"].rsplit("/", 1)[0]
    listing = httpx.get(f"{base}/index.json").json()["objects"]
    assert sum(path.endswith(".m4s") for path in listing) == 3 * 12


def state(instance: Instance, video_id: str) -> str:
    """Return a video's state, or nothing while the catalog does not answer."""
    try:
        return str(instance.video(video_id)["state"])
    except httpx.HTTPError:
        return ""


def until_progress(instance: Instance, video_id: str) -> None:
    """Wait until more of the video is stored than now, or all."""

    def progress() -> float:
        try:
            return float(instance.video(video_id)["progress"])
        except httpx.HTTPError:
            return -1.0

    wait_until(lambda: progress() >= 0, "the catalog answers")
    before = progress()
    wait_until(lambda: progress() > before or progress() == 1, "encoding goes on", RECOVERY_S)


def test_everything_killed_at_once_goes_on_after_a_new_start(tmp_path: Path, media: Media) -> None:
    source = media.numbered(40, "25", (854, 480))
    first = start_instance(tmp_path / "data")
    playable = first.publish(source, wait=False)[-1]
    for pid in [*first.pids().values(), first.process.pid]:
        os.kill(pid, signal.SIGKILL)
    first.process.wait()
    second = start_instance(tmp_path / "data", first.port)
    try:
        wait_until(lambda: state(second, playable["video_id"]) == "ready", "ready", RECOVERY_S)
        assert read_all_numbers(playable["hls"], 2) == [list(range(1000))] * 2
    finally:
        assert second.stop() == 0


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_stopping_leaves_no_process_and_no_port_behind(
    tmp_path: Path, media: Media, how: signal.Signals
) -> None:
    instance = start_instance(tmp_path / "data")
    instance.publish(media.numbered(20, "25", (854, 480)), wait=False)
    began = time.monotonic()
    assert instance.stop(how) == 0
    assert time.monotonic() - began < 30
    assert instance.pids() == {}
    assert not answers(instance.port)
    left = subprocess.run(
        ["pgrep", "-f", str(instance.data)], capture_output=True, text=True, check=False
    )
    assert left.stdout.split() == []
