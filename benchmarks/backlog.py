"""A clip of 30 s, uploaded behind ten hours of other films → playable."""

from dataclasses import replace

from benchmarks.machine import Figure
from benchmarks.sources import everyday_film, long_film, unlike_others
from benchmarks.system import running, upload, wait_for_plan
from benchmarks.viewer import watch_upload

FILMS, FILM_S, CLIP_S = 5, 7200, 30
LIMIT_S = 3.0


def measure(runs: int = 10) -> list[Figure]:
    """Measure `runs` clips behind one backlog.

    Raises RuntimeError when more than a tenth of it was encoded meanwhile.
    """
    waits = []
    with running() as system, system.client() as client:
        films = [upload(client, long_film(FILM_S), f"film {n}", unlike_others())
                 for n in range(FILMS)]  # fmt: skip
        for film in films:
            wait_for_plan(client, film.video_id)
        for number in range(runs):
            clip = everyday_film(CLIP_S)
            sight = watch_upload(system, client, clip, f"clip {number}", unlike_others())
            waits.append(sight.seen_s)
        done = [client.get(f"/api/v1/videos/{film.video_id}").json()["progress"] for film in films]
        if sum(done) > FILMS / 10:
            raise RuntimeError(f"the backlog is encoded: {done}")
    figure = Figure("30 s clip behind 10 h of films → playable", "s", waits)
    return [replace(figure, target=f"p95 ≤ {LIMIT_S}", holds=figure.quantile(0.95) <= LIMIT_S)]
