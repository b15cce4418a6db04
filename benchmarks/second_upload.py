"""The same bytes uploaded again: from the last byte to `ready`, without any encoding."""

import time
from dataclasses import replace

from benchmarks.machine import Figure
from benchmarks.sources import everyday_film
from benchmarks.system import running, upload, wait_for_state

LIMIT_S = 0.3


def measure(runs: int = 10) -> list[Figure]:
    """Measure `runs` repeated uploads of a film of two minutes."""
    waits = []
    source = everyday_film(120)
    with running() as system, system.client() as client:
        first = upload(client, source, "first")
        package_id = wait_for_state(client, first.video_id, "ready")["package_id"]
        begun = system.chunks_begun()
        for number in range(runs):
            sent = upload(client, source, f"again {number}")
            video = wait_for_state(client, sent.video_id, "ready")
            waits.append(time.monotonic() - sent.ended_at)
            if video["package_id"] != package_id:
                raise RuntimeError("the same bytes made another package")
        if system.chunks_begun() != begun:
            raise RuntimeError("the same bytes were encoded again")
    figure = Figure("same bytes again: last byte → ready", "s", waits)
    return [replace(figure, target=f"p95 ≤ {LIMIT_S}", holds=figure.quantile(0.95) <= LIMIT_S)]
