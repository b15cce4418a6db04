"""From the last uploaded byte to the first segment of the lowest rung, with its sound, served."""

import time
from dataclasses import replace

from benchmarks.machine import Figure
from benchmarks.plain import segment_s
from benchmarks.sources import everyday_film, long_film, unlike_others
from benchmarks.system import System, running
from benchmarks.viewer import watch_upload

P50_S, P95_S, RATIO = 1.0, 1.5, 1.6
EVERYDAY_S = 1200


def measure(seconds: int, runs: int = 10) -> list[Figure]:
    """Measure `runs` uploads of a film, each beside FFmpeg and Shaka Packager by hand.

    One of two hours is of low complexity.
    """
    source = (everyday_film if seconds <= EVERYDAY_S else long_film)(seconds)
    ours, theirs = [], []
    with running() as system, system.client() as client:
        for number in range(runs):
            sight = watch_upload(system, client, source, f"first {number}", unlike_others())
            ours.append(sight.seen_s)
            path = f"/api/v1/content/{sight.video['package_id']}/plan.json"
            recipe = client.get(path).json()["recipe"]
            system.forget(client, sight.video["id"])
            wait_until_idle(system)
            theirs.append(segment_s(source, recipe, 0, 25))
    name = f"{seconds} s film: last byte → first segment and sound"
    ours_s = Figure(name, "s", ours)
    theirs_s = Figure(f"{seconds} s film: by hand for the same", "s", theirs)
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    ratio = Figure(f"{seconds} s film: ratio of the two", "", ratios)
    fast = ours_s.median <= P50_S and ours_s.quantile(0.95) <= P95_S
    return [
        replace(ours_s, target=f"p50 ≤ {P50_S}, p95 ≤ {P95_S}", holds=fast),
        theirs_s,
        replace(ratio, target=f"p50 ≤ {RATIO}", holds=ratio.median <= RATIO),
    ]


def wait_until_idle(system: System) -> None:
    """Wait until less than a tenth of a core is used."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        before, began = system.cpu_s(), time.monotonic()
        time.sleep(1.0)
        if (system.cpu_s() - before) / (time.monotonic() - began) < 0.1:
            return
    raise RuntimeError("the system does not come to rest")
