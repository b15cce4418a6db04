"""`reelay watch` beside all that it hears of: a real film, made by the real services."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from reelay.common.testing.media import Media
from reelay.common.testing.servers import wait_until

from .conftest import Instance, start_instance
from .uploads import Upload

pytestmark = pytest.mark.e2e

REELAY = str(Path(sys.executable).parent / "reelay")

Line = dict[str, Any]


@pytest.fixture(scope="module")
def watched_instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """A system whose encoder is held."""
    running = start_instance(tmp_path_factory.mktemp("watched") / "data")
    yield running
    running.stop()


class Watching:
    """`reelay watch --json` that runs, and what it wrote."""

    def __init__(self, instance: Instance, identity: str, folder: Path, *options: str) -> None:
        self._out, self._err = folder / f"{identity}.out", folder / f"{identity}.err"
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                [REELAY, "watch", "--json", *options, identity],
                env=instance.environment, stdout=out, stderr=err,
            )  # fmt: skip

    @property
    def lines(self) -> list[Line]:
        """What it told until now."""
        whole = self._out.read_text().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def first(self, event: str) -> Line:
        """Return the first line of an event, as soon as it is told."""

        def told() -> list[Line]:
            assert self.process.poll() is None, self._err.read_text()
            return [line for line in self.lines if line["event"] == event]

        wait_until(lambda: bool(told()), f"{event} is told", 60)
        return told()[0]

    def end(self) -> tuple[int, str]:
        """Wait for the end; return exit code and standard error."""
        return self.process.wait(60), self._err.read_text()


@contextmanager
def watching(instance: Instance, identity: str, folder: Path, *options: str) -> Iterator[Watching]:
    """Run `reelay watch`."""
    watch = Watching(instance, identity, folder, *options)
    try:
        yield watch
    finally:
        watch.process.kill()
        watch.process.wait()


@contextmanager
def held(pid: int) -> Iterator[None]:
    """Keep a process from doing anything."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def stored(lines: list[Line]) -> dict[str, set[int]]:
    """Return which segments of each rendition were told to be stored."""
    found: dict[str, set[int]] = {}
    for line in lines:
        if line["event"] == "stored":
            numbers = range(line["first"], line["last"] + 1)
            found.setdefault(line["rendition"], set()).update(numbers)
    return found


def test_film_is_watched_from_its_plan_until_it_is_ready(
    watched_instance: Instance, media: Media, tmp_path: Path
) -> None:
    upload = Upload(watched_instance, media.numbered(8, "25", (320, 180))).begin()
    with watching(watched_instance, upload.video_id, tmp_path) as watch:
        watch.first("waiting")
        # The encoder is held until the map is there, so that all of the film is made after it.
        with held(watched_instance.pids()["encoder"]):
            upload.send()
            planned = watch.first("package")
        assert watch.end() == (0, "")
    assert (planned["state"], planned["segments_stored"]) == ("planned", 0)
    renditions = planned["renditions"]
    assert all(rendition["encoding"].get("opening") for rendition in renditions.values())
    whole = {name: {*range(1, one["total"] + 1)} for name, one in renditions.items()}
    assert stored(watch.lines) == whole
    last = watch.lines[-1]
    assert (last["event"], last["state"], last["progress"]) == ("state", "ready", 1.0)


def test_viewer_who_waits_for_nothing_is_on_the_map(
    watched_instance: Instance, media: Media, tmp_path: Path
) -> None:
    upload = Upload(watched_instance, media.numbered(4, "25", (320, 180))).begin()
    upload.send()
    with watching(watched_instance, upload.video_id, tmp_path, "--follow") as watch:
        package = watch.first("package")
        name = next(iter(package["renditions"]))
        content = f"{watched_instance.url}/api/v1/content/{package['package_id']}"
        url = f"{content}/video/{name}/2.m4s"

        wait_until(lambda: httpx.get(url, timeout=30).is_success, "the segment is made", 60)

        def watched() -> bool:
            httpx.get(url, timeout=30).raise_for_status()
            return any(line["event"] == "watching" for line in watch.lines)

        wait_until(watched, "the viewer is seen", 30)
        seen = watch.first("watching")
    assert (seen["rendition"], seen["number"], seen["position_s"]) == (name, 2, 1.0)


def test_film_that_is_deleted_while_it_is_made_is_watched_no_longer(
    watched_instance: Instance, media: Media, tmp_path: Path
) -> None:
    upload = Upload(watched_instance, media.numbered(6, "25", (320, 180))).begin()
    with ExitStack() as watches, held(watched_instance.pids()["encoder"]):
        upload.send()
        by_video = watches.enter_context(watching(watched_instance, upload.video_id, tmp_path))
        package_id = by_video.first("package")["package_id"]
        by_package = watches.enter_context(watching(watched_instance, package_id, tmp_path))
        by_package.first("package")
        watched_instance.delete(upload.video_id)
        gone = "reelay: This video was removed, or is private by now.\n"
        assert by_video.end() == (1, gone)
        # What the packager and the catalog do then is seen in either order.
        code, said = by_package.end()
        assert code == 1
        assert "This package was removed" in said or "This video was deleted" in said
