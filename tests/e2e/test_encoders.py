"""Encoders come, go and die while films are encoded; nothing is lost."""

import os
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from reelay.common.commands import Lane
from reelay.common.testing.media import Media, read_all_numbers, read_numbers
from reelay.common.testing.servers import wait_until

from .conftest import Instance
from .encoders import further_encoder, without_own_encoder

pytestmark = pytest.mark.e2e

SHARED_FILM_S = 240
"""Long enough that there are chunks for three encoders when two join a lone one."""
RECOVERY_S = 180.0
TAKEN_OVER_WITHIN_S = 15.0
"""From an encoder's death until another, which is idle, begins its chunk: work is delivered again
after 5 s, the rest is for a busy machine."""
ONE_CHUNK_S = 8
"""A film with a single chunk for the ladder, so that the other encoder has nothing in hand."""
FAR_SEGMENT = 25
"""Of a film of two minutes: 88 s after its start."""
WRONG_CLOCK = Path(__file__).parent / "wrong_clock"
"""Read by every Python that has it on its path."""
HOUR_S = 3600
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
    log, encoder = own_instance.data / "log" / "encoder.log", own_instance.pids()["encoder"]
    with ThreadPoolExecutor(1) as pool:
        published = pool.submit(publish_and_ask, own_instance, source, lane)
        _, lost = kill_at_work({log: encoder}, lane)
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
        log, lost = kill_at_work({one_log: one.pid, other_log: other.pid}, lane)
        died_at = time.monotonic()
        successor = other_log if log == one_log else one_log
        wait_until(lambda: lost <= begun(successor, lane), "another begins it", TAKEN_OVER_WITHIN_S)
        print(f"\n{lane}: taken over {time.monotonic() - died_at:.2f} s after the death")
        wait_until(lambda: not lost & under_way(successor, lane), "it is done", 60)
        published.result()


def kill_at_work(encoders: dict[Path, int], lane: Lane) -> tuple[Path, set[str]]:
    """Kill the first encoder, of processes by their logs, that is seen to work on a lane.

    Return its log, and the tasks of the lane that it had.
    """
    killed: list[tuple[Path, set[str]]] = []

    def done() -> bool:
        for log, pid in encoders.items():
            if under_way(log, lane):
                # Stopped, it cannot finish between the second look and its death.
                os.kill(pid, signal.SIGSTOP)
                until_logged(pid, log)
                if lost := under_way(log, lane):
                    os.kill(pid, signal.SIGKILL)
                    killed.append((log, lost))
                    return True
                os.kill(pid, signal.SIGCONT)
        return False

    wait_until(done, f"work of the lane {lane} is under way", 60)
    return killed[0]


def until_logged(pid: int, log: Path) -> None:
    """Return when the log has all that a stopped process said.

    What the instance's own encoder says goes through a pipe; what is put into that now comes last.
    """
    output = Path(f"/proc/{pid}/fd/1")
    if output.is_fifo():
        line = f"looked at {time.monotonic_ns()}"
        output.write_text(f"{line}\n")
        wait_until(lambda: line in log.read_text(), "the log is written")


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


def test_encoders_whose_clocks_are_wrong_make_films(
    own_instance: Instance, media: Media, tmp_path: Path
) -> None:
    with without_own_encoder(own_instance):
        for ahead_s, film_s in ((HOUR_S, 6), (-HOUR_S, 8)):
            log = tmp_path / f"{ahead_s}.log"
            clock = {"PYTHONPATH": str(WRONG_CLOCK), "WRONG_CLOCK_AHEAD_S": str(ahead_s)}
            with further_encoder(own_instance, log, **clock):
                ready = own_instance.publish(media.numbered(film_s, "25", (320, 180)))[-1]
            assert ready["event"] == "ready"
            assert read_numbers(ready["hls"]) == list(range(25 * film_s))
            # It is the encoder that says when, by its own clock.
            begins = next(line for line in log.read_text().splitlines() if "chunk begins" in line)
            wrong = datetime.fromisoformat(begins.split()[0]) - datetime.now(UTC)
            assert abs(wrong.total_seconds() - ahead_s) < HOUR_S / 2
