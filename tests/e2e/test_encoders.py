"""Encoders come, go and die while films are encoded; nothing is lost."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from reelay.common.commands import Lane
from reelay.common.testing.media import Media, read_all_numbers
from reelay.common.testing.servers import answers, free_port, wait_until
from reelay.standalone.leftovers import MARK

from .conftest import Instance

pytestmark = pytest.mark.e2e

SHARED_FILM_S = 240
"""Long enough that there are chunks for three encoders when two join a lone one."""
RECOVERY_S = 180.0
TAKEN_OVER_WITHIN_S = 15.0
"""From an encoder's death until another, which is idle, begins its chunk: work is delivered again
after 5 s, the rest is for a busy machine."""
ONE_CHUNK_S = 16
"""A film with a single chunk for the ladder, so that the other encoder has nothing in hand."""
FAR_SEGMENT = 25
"""Of a film of two minutes: 88 s after its start."""
BEGINS = re.compile(r"chunk begins.*?(?=.*lane=(\w+))(?=.*task_id=([0-9a-f-]+))")
DONE = re.compile(r"chunk done.*task_id=([0-9a-f-]+)")


def begun(log: Path, lane: Lane) -> set[str]:
    """Return the tasks of a lane that an encoder has begun, by its log."""
    return {task for found, task in BEGINS.findall(log.read_text()) if found == lane}


def under_way(log: Path, lane: Lane) -> set[str]:
    """Return the tasks of a lane that an encoder has begun and not ended, by its log."""
    return begun(log, lane) - set(DONE.findall(log.read_text()))


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


@pytest.mark.parametrize("lane", list(Lane))
def test_work_of_a_killed_encoder_is_taken_over_within_seconds(
    own_instance: Instance, media: Media, tmp_path: Path, lane: Lane
) -> None:
    source = media.numbered(ONE_CHUNK_S if lane is Lane.LADDER else 120, "25", (854, 480))
    one_log, other_log = tmp_path / "one.log", tmp_path / "other.log"
    with (
        further_encoder(own_instance, one_log) as one,
        further_encoder(own_instance, other_log) as other,
        without_own_encoder(own_instance),
        ThreadPoolExecutor(1) as pool,
    ):
        published = pool.submit(publish_and_ask, own_instance, source, lane)
        log = kill_at_work({one_log: one, other_log: other}, lane)
        died_at = time.monotonic()
        lost, successor = under_way(log, lane), other_log if log == one_log else one_log
        wait_until(lambda: lost <= begun(successor, lane), "another begins it", TAKEN_OVER_WITHIN_S)
        print(f"\n{lane}: taken over {time.monotonic() - died_at:.2f} s after the death")
        wait_until(lambda: not lost & under_way(successor, lane), "it is done", 60)
        published.result()


def kill_at_work(encoders: dict[Path, subprocess.Popen[bytes]], lane: Lane) -> Path:
    """Kill the first encoder that is seen to work on a lane; return its log."""
    killed: list[Path] = []

    def done() -> bool:
        for log, process in encoders.items():
            if under_way(log, lane):
                # Stopped, it cannot finish between the second look and its death.
                process.send_signal(signal.SIGSTOP)
                if under_way(log, lane):
                    process.kill()
                    killed.append(log)
                    return True
                process.send_signal(signal.SIGCONT)
        return False

    wait_until(done, f"work of the lane {lane} is under way", 60)
    return killed[0]


@contextmanager
def without_own_encoder(instance: Instance) -> Iterator[None]:
    """Keep the instance's own encoder from taking work.

    It is killed, so that the broker forgets it, and its successor stopped before it has connected.
    """
    [stopped] = own_encoders(instance)
    while is_connected(stopped):  # on a busy machine it may be before it is seen
        dead = stopped
        os.kill(dead, signal.SIGKILL)
        wait_until(lambda: bool(own_encoders(instance) - {dead}), "the keeper starts another")  # noqa: B023 (called in this turn)
        [stopped] = own_encoders(instance) - {dead}
        os.kill(stopped, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(stopped, signal.SIGCONT)


def is_connected(pid: int) -> bool:
    """Tell whether a process has a TCP connection (proc(5), /proc/pid/net/tcp, field inode)."""
    links = []
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            links.append(str(path.readlink()))
    lines = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    return any(f"socket:[{line.split()[9]}]" in links for line in lines)


def own_encoders(instance: Instance) -> set[int]:
    """Return the process that the instance itself keeps for encoding, if there is one now."""
    found = set()
    children = Path(f"/proc/{instance.process.pid}/task").glob("*/children")
    for pid in " ".join(path.read_text() for path in children).split():
        with suppress(OSError):
            if b"reelay.encoder" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.add(int(pid))
    return found


@contextmanager
def further_encoder(instance: Instance, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run one more encoder with the settings of the instance's own, as another machine would."""
    text = Path(f"/proc/{instance.pids()['encoder']}/environ").read_bytes().decode()
    environment = dict(line.split("=", 1) for line in text.split("\0") if "=" in line)
    environment["ENCODER_PORT"] = str(free_port())
    environment["ENCODER_LOG_FORMAT"] = "text"
    environment.pop("REELAY_DATA", None)
    # By its mark the instance would take it for a leftover of its own encoder, and end it.
    environment.pop(MARK, None)
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
        wait_until(lambda: "chunk done" in joined.read_text(), "the third does work", RECOVERY_S)
        wait_until(
            lambda: state(own_instance, playable["video_id"]) in ("ready", "failed"),
            "the film is ready",
            RECOVERY_S,
        )
    assert state(own_instance, playable["video_id"]) == "ready"
    assert read_all_numbers(playable["hls"], 2) == [list(range(25 * SHARED_FILM_S))] * 2
