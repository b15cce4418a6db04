"""Encoders that know nothing but the printed settings join, leave and die; nothing is lost."""

import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nats
import pytest

from reelay.common.events import SegmentReady
from reelay.common.testing.media import Media, read_all_numbers
from reelay.common.testing.s3 import start_seaweedfs
from reelay.common.testing.servers import answers, free_port, wait_until

from .conftest import Instance, start_instance
from .encoders import children

pytestmark = pytest.mark.e2e

PATIENCE_S = 180.0
FILM_S = 300
"""Long enough that two encoders have come to work and gone before it is over."""
ELSEWHERE = "127.0.0.2"
"""Every other part of the system is on 127.0.0.1."""
READY = SegmentReady.subject.replace("*", "")
BEGINS = re.compile(r"chunk begins.*?task_id=([0-9a-f-]+)")
DONE = re.compile(r"chunk done.*task_id=([0-9a-f-]+)")


@dataclass
class Encoder:
    """An encoder as it runs on another machine: all it has is a file of settings."""

    process: subprocess.Popen[bytes]
    log: Path
    home: Path

    @property
    def done(self) -> set[str]:
        """The tasks that it did."""
        return set(DONE.findall(self.log.read_text()))

    @property
    def under_way(self) -> set[str]:
        """The tasks that it has begun and not ended."""
        return set(BEGINS.findall(self.log.read_text())) - self.done

    def stops_at_work(self) -> bool:
        """Stop it (SIGSTOP) if it has work, which it then cannot finish unseen."""
        self.process.send_signal(signal.SIGSTOP)
        if self.under_way:
            return True
        self.process.send_signal(signal.SIGCONT)
        return False

    def knows(self) -> str:
        """Return what it and its FFmpegs have open, and what they were told."""
        found = []
        for pid in (self.process.pid, *children(self.process.pid)):
            entry = Path(f"/proc/{pid}")
            with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
                found += [(entry / name).read_text() for name in ("environ", "cmdline")]
                found += [str(link.readlink()) for link in (entry / "cwd", *entry.glob("fd/*"))]
        return "\n".join(found)


@pytest.fixture
def shared_instance(tmp_path: Path) -> Iterator[Instance]:
    """A system whose objects are in S3, and whose NATS listens for other machines."""
    with start_seaweedfs(tmp_path / "s3") as url:
        instance = start_instance(
            tmp_path / "data",
            REELAY_STORE_URL=url,
            REELAY_NATS_LISTEN=f"{ELSEWHERE}:{free_port()}",
        )
        yield instance
        instance.stop()


@contextmanager
def encoder_elsewhere(settings: Path, folder: Path) -> Iterator[Encoder]:
    """Start one as docs/how-to/add-encoders.md says, in an empty folder and with no variables."""
    folder.mkdir()
    shutil.copy(settings, folder / "encoder.env")
    port, log = free_port(), folder.with_suffix(".log")
    start = f'set -a; . ./encoder.env; exec "{sys.executable}" -m reelay.encoder'
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["/bin/sh", "-c", start],
            env={"HOME": str(folder), "ENCODER_PORT": str(port)},
            cwd=folder,
            stdout=output,
            stderr=output,
        )
    try:
        wait_until(lambda: answers(port), "an encoder runs elsewhere", PATIENCE_S)
        yield Encoder(process, log, folder)
    finally:
        process.kill()
        process.wait()


async def segments_of(tasks: set[str], url: str) -> int:
    """Return how many segments were announced of some tasks."""
    client = await nats.connect(url)
    stream = client.jetstream()
    found, number = 0, 0
    last = (await stream.stream_info("EVENTS")).state.last_seq
    while number < last:
        message = await stream.get_msg("EVENTS", number + 1, subject="events.>", next=True)
        assert message.seq is not None
        number = message.seq
        if str(message.subject).startswith(READY):
            ready = SegmentReady.model_validate_json(message.data or b"")
            found += str(ready.task_id) in tasks
    await client.close()
    return found


@pytest.mark.timeout(900)
async def test_encoders_elsewhere_come_and_go_while_a_film_is_made(
    shared_instance: Instance, media: Media, tmp_path: Path
) -> None:
    source = media.numbered(FILM_S, "25", (854, 480))
    settings = tmp_path / "encoder.env"
    told = shared_instance.reelay("encoder-environment")
    assert told.returncode == 0, told.stderr
    settings.write_text(told.stdout)
    playable = shared_instance.publish(source, wait=False)[-1]

    def video() -> dict[str, Any]:
        return shared_instance.video(playable["video_id"])

    with ExitStack() as stack:
        leaves, dies = (
            stack.enter_context(encoder_elsewhere(settings, tmp_path / name))
            for name in ("leaves", "dies")
        )
        wait_until(dies.stops_at_work, "one has work", PATIENCE_S)
        lost, known = dies.under_way, dies.knows()
        dies.process.kill()
        wait_until(lambda: bool(leaves.done), "the other does work", PATIENCE_S)
        wait_until(leaves.stops_at_work, "the other has more work", PATIENCE_S)
        leaves.process.send_signal(signal.SIGTERM)
        leaves.process.send_signal(signal.SIGCONT)
        told_at = time.monotonic()
        assert leaves.process.wait(30) == 0
        took_s = time.monotonic() - told_at
        handed_on = leaves.under_way
        left_at = video()
        assert left_at["state"] == "playable", "both were gone before the film was whole"
    assert "ENCODER_STORE_URL=s3://" in known
    assert str(shared_instance.data) not in known
    assert [path.name for path in leaves.home.iterdir()] == ["encoder.env"]
    ended = ("ready", "failed")
    wait_until(lambda: video()["state"] in ended, "the film is ready", PATIENCE_S)
    assert video()["state"] == "ready"
    variables = dict(shlex.split(line)[0].split("=", 1) for line in told.stdout.splitlines())
    made = await segments_of(leaves.done, variables["ENCODER_NATS_URL"])
    print(
        f"\none made {made} segments in {len(leaves.done)} tasks and handed {len(handed_on)} on at "
        f"{left_at['progress']:.0%} of the film, within {took_s:.2f} s; another died with "
        f"{len(lost)}"
    )
    assert made > 0
    by_system = (shared_instance.data / "log" / "encoder.log").read_text()
    for task in lost | handed_on:
        assert task in leaves.done or re.search(f"chunk done.*{task}", by_system)
    assert not shared_instance.data.joinpath("store").exists()
    assert read_all_numbers(playable["hls"], 2) == [list(range(25 * FILM_S))] * 2
    letters = shared_instance.reelay("dead-letters", "list").stdout
    assert letters == "There are no dead letters.\n"
