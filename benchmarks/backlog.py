"""A clip of 30 s, uploaded behind ten hours of other films → playable."""

from dataclasses import replace

from benchmarks.machine import Figure
from benchmarks.sources import everyday_film, long_film, unlike_others
from benchmarks.system import running, upload, wait_for_plan
from benchmarks.viewer import watch_upload

FILMS, FILM_S, CLIP_S = 5, 7200, 30
LIMIT_S = 3.0


def measure(runs: int = 10) -> list[Figure]:
    """Measure `runs` clips behind one backlog."""
    waits = []
    with running() as system, system.client() as client:
        for number in range(FILMS):
            sent = upload(client, long_film(FILM_S), f"film {number}", unlike_others())
            wait_for_plan(client, sent.video_id)
        for number in range(runs):
            clip = everyday_film(CLIP_S)
            sight = watch_upload(system, client, clip, f"clip {number}", unlike_others())
            waits.append(sight.seen_s)
    figure = Figure("30 s clip behind 10 h of films → playable", "s", waits)
    return [replace(figure, target=f"p95 ≤ {LIMIT_S}", holds=figure.quantile(0.95) <= LIMIT_S)]
