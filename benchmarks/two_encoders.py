"""Wall time of one film with two encoders of one core each ÷ with one encoder of one core."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.machine import Figure
from benchmarks.sources import film, unlike_others
from benchmarks.system import System, descendants, running, upload, wait_for_state
from reelay.common.testing.servers import answers, free_port, wait_until

LIMIT = 0.58
FILM_S = 60


def measure(runs: int = 10) -> list[Figure]:
    """Measure `runs` pairs, in changing order: a machine that slows down favours neither."""
    one: list[float] = []
    two: list[float] = []
    for number in range(runs):
        for encoders in (1, 2) if number % 2 == 0 else (2, 1):
            (one if encoders == 1 else two).append(_film_s(encoders))
        pair = f"pair {number + 1}: {two[-1]:.1f} s ÷ {one[-1]:.1f} s = {two[-1] / one[-1]:.3f}"
        print(pair, file=sys.stderr, flush=True)
    ratio = Figure(
        "two encoders of one core ÷ one", "", [b / a for a, b in zip(one, two, strict=True)]
    )
    return [
        Figure(f"{FILM_S} s of 1080p25 with one encoder of one core", "s", one),
        Figure("with two encoders of one core each", "s", two),
        replace(ratio, target=f"≤ {LIMIT}", holds=ratio.median <= LIMIT),
    ]


def _film_s(encoders: int) -> float:
    with running(ENCODER_THREADS="1") as system, system.client() as client:
        first = _encoder(system)
        _pin(first, 0)
        with _second(first) if encoders == 2 else _nothing():
            sent = upload(client, film(FILM_S), "film", unlike_others())
            wait_for_state(client, sent.video_id, "ready")
            return time.monotonic() - sent.ended_at


def _encoder(system: System) -> int:
    for pid in descendants(system.pid):
        if b"reelay.encoder" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
    raise RuntimeError("no encoder runs")


def _pin(pid: int, core: int) -> None:
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})


@contextmanager
def _second(first: int) -> Iterator[None]:
    """Run another encoder with the settings of the first, on the second core."""
    lines = Path(f"/proc/{first}/environ").read_bytes().decode().split("\0")
    environment = dict(line.split("=", 1) for line in lines if "=" in line)
    environment["ENCODER_PORT"] = str(free_port())
    process = subprocess.Popen([sys.executable, "-m", "reelay.encoder"], env=environment,
                               stdout=subprocess.DEVNULL)  # fmt: skip
    _pin(process.pid, 1)
    try:
        wait_until(lambda: answers(int(environment["ENCODER_PORT"])), "the second encoder runs")
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


@contextmanager
def _nothing() -> Iterator[None]:
    yield
