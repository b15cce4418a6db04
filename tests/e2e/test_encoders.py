"""Encoders come, go and die while films are encoded; nothing is lost."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from reelay.common.commands import Lane
from reelay.common.testing.media import Media, read_all_numbers
from reelay.common.testing.servers import answers, free_port, wait_until

from .conftest import Instance

pytestmark = pytest.mark.e2e

SHARED_FILM_S = 240
"""Long enough that there are chunks for three encoders when two join a lone one."""
RECOVERY_S = 180.0
FAR_SEGMENT = 25
"""Of a film of two minutes: 88 s after its start."""
BEGINS = re.compile(r"chunk begins.*?(?=.*lane=(\w+))(?=.*task_id=([0-9a-f-]+))")
DONE = re.compile(r"chunk done.*task_id=([0-9a-f-]+)")


def under_way(log: Path, lane: Lane) -> set[str]:
    """Return the tasks of a lane that an encoder has begun and not ended, by its log."""
    text = log.read_text()
    begun = {task for found, task in BEGINS.findall(text) if found == lane}
    return begun - set(DONE.findall(text))


def state(instance: Instance, video_id: str) -> str:
    """Return a video's state."""
    return str(instance.video(video_id)["state"])


def publish_and_ask(instance: Instance, source: Path, lane: Lane) -> dict[str, str]:
    """Publish a film, and for the lane of viewers go to where nobody has encoded yet."""
    playable = instance.publish(source, wait=False)[-1]
    base = playable["hls"].rsplit("/", 1)[0]
    while lane is Lane.ONDEMAND:
        answer = httpx.get(f"{base}/video/360p/{FAR_SEGMENT}.m4s", timeout=30)
        if answer.status_code != 503:
            assert answer.status_code == 200
            break
    return playable


@pytest.mark.parametrize("lane", list(Lane))
def test_work_of_a_killed_encoder_is_done_by_its_successor(
    own_instance: Instance, media: Media, lane: Lane
) -> None:
    source = media.numbered(120, "25", (854, 480))
    log = own_instance.data / "log" / "encoder.log"
    with ThreadPoolExecutor(1) as pool:
        published = pool.submit(publish_and_ask, own_instance, source, lane)
        wait_until(lambda: bool(under_way(log, lane)), f"work of the lane {lane} is under way", 60)
        os.kill(own_instance.pids()["encoder"], signal.SIGKILL)
        lost = under_way(log, lane)
        assert lost
        playable = published.result()
    wait_until(
        lambda: state(own_instance, playable["video_id"]) in ("ready", "failed"),
        "the film is ready",
        RECOVERY_S,
    )
    assert state(own_instance, playable["video_id"]) == "ready"
    assert not lost & under_way(log, lane)
    assert read_all_numbers(playable["hls"], 2) == [list(range(3000))] * 2


@contextmanager
def further_encoder(instance: Instance, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run one more encoder with the settings of the instance's own, as another machine would."""
    text = Path(f"/proc/{instance.pids()['encoder']}/environ").read_bytes().decode()
    environment = dict(line.split("=", 1) for line in text.split("\0") if "=" in line)
    environment["ENCODER_PORT"] = str(free_port())
    environment.pop("REELAY_DATA", None)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "reelay.encoder"], env=environment, stdout=output, stderr=output
        )
    try:
        wait_until(lambda: answers(int(environment["ENCODER_PORT"])), "a further encoder runs")
        yield process
    finally:
        process.kill()
        process.wait()


def test_encoders_that_join_and_leave_in_the_middle_share_a_film(
    own_instance: Instance, media: Media, tmp_path: Path
) -> None:
    source = media.numbered(SHARED_FILM_S, "25", (854, 480))
    playable = own_instance.publish(source, wait=False)[-1]
    joined, left = tmp_path / "joined.log", tmp_path / "left.log"
    with further_encoder(own_instance, joined), further_encoder(own_instance, left) as leaving:
        wait_until(lambda: "chunk begins" in left.read_text(), "the second has work", 60)
        leaving.kill()
        wait_until(lambda: "chunk done" in joined.read_text(), "the third does work", 60)
        wait_until(
            lambda: state(own_instance, playable["video_id"]) in ("ready", "failed"),
            "the film is ready",
            RECOVERY_S,
        )
    assert state(own_instance, playable["video_id"]) == "ready"
    assert read_all_numbers(playable["hls"], 2) == [list(range(25 * SHARED_FILM_S))] * 2
