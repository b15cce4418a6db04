"""Encoders beside the one that an instance keeps, or instead of it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from reelay.common.testing.servers import answers, free_port, wait_until
from reelay.standalone.leftovers import MARK

from .conftest import Instance


@contextmanager
def further_encoder(
    instance: Instance, log: Path, **more: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run one more encoder with the settings of the instance's own, as another machine would.

    `more` are variables that only this one has.
    """
    environment = instance.variables("encoder") | more
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


@contextmanager
def without_own_encoder(instance: Instance) -> Iterator[None]:
    """Keep the instance's own encoder from taking work.

    It is killed, so that the broker forgets it, and its successor stopped before it has connected.
    """
    stopped = own_encoder(instance)
    while is_connected(stopped):  # on a busy machine it may be before it is seen
        os.kill(stopped, signal.SIGKILL)
        stopped = own_encoder(instance, after=stopped)
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


def own_encoder(instance: Instance, after: int = 0) -> int:
    """Wait for a process that the instance itself keeps for encoding, another than `after`."""
    found: set[int] = set()

    def runs() -> bool:
        found.update(own_encoders(instance) - {after})
        return bool(found)

    wait_until(runs, "the instance has an encoder")
    return found.pop()


def own_encoders(instance: Instance) -> set[int]:
    """Return the process that the instance itself keeps for encoding, if it is seen now."""
    found = set()
    for pid in children(instance.process.pid):
        with suppress(OSError):
            if b"reelay.encoder" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.add(pid)
    return found


def children(pid: int) -> set[int]:
    """Return the processes that a process has started.

    While some of them end, one that lives may be missing (proc(5)).
    """
    found: set[int] = set()
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # the thread has ended meanwhile
            found.update(map(int, path.read_text().split()))
    return found
