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
from typing import Any

from benchmarks.machine import Figure
from benchmarks.plain import two_at_once
from benchmarks.runs import Runs
from benchmarks.sources import film, unlike_others
from benchmarks.system import System, descendants, running, upload, wait_for_state
from reelay.common.testing.servers import answers, free_port, wait_until

LIMIT = 0.58
FILM_S = 120


def measure(runs: Runs) -> list[Figure]:
    """Measure the pairs that are missing among `runs`.

    Their order changes: a machine that slows down favours neither. Beside each, what two plain
    FFmpegs gain on the same cores at that time.
    """
    while runs.missing:
        took_s: dict[int, float] = {}
        for encoders in (1, 2) if runs.made % 2 == 0 else (2, 1):
            took_s[encoders], recipe = _film(encoders)
        bound = two_at_once(film(FILM_S), recipe)
        runs.add(one=took_s[1], two=took_s[2], plain=bound)
        pair = f"{took_s[2]:.1f} s ÷ {took_s[1]:.1f} s = {took_s[2] / took_s[1]:.3f}"
        print(f"pair {runs.made}: {pair}, plain FFmpegs {bound:.3f}", file=sys.stderr, flush=True)
    one, two = runs.column("one"), runs.column("two")
    bounds, ratios = runs.column("plain"), runs.ratios("two", "one")
    ratio = Figure("two encoders of one core ÷ one", "", ratios, f"p50 ≤ {LIMIT}")
    return [
        Figure(f"{FILM_S} s of 1080p25 with one encoder of one core", "s", one),
        Figure("with two encoders of one core each", "s", two),
        Figure("half the work each by two plain FFmpegs of one core ÷ all by one", "", bounds),
        replace(ratio, holds=ratio.median <= LIMIT),
    ]


def _film(encoders: int) -> tuple[float, dict[str, Any]]:
    """Return the time from the last byte to the whole package, and its recipe."""
    with running(ENCODER_THREADS="1") as system, system.client() as client:
        first = _encoder(system)
        _pin(first, 0)
        with _second(first) if encoders == 2 else _nothing():
            sent = upload(client, film(FILM_S), "film", unlike_others())
            video = wait_for_state(client, sent.video_id, "ready")
            took_s = time.monotonic() - sent.ended_at
            if video["state"] != "ready":
                raise RuntimeError(video["reason"])
        plan = client.get(f"/api/v1/content/{video['package_id']}/plan.json").json()
        return took_s, plan["recipe"]


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
