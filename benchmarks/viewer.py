"""A viewer who has the page of a video open before its upload ends."""

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx

from benchmarks.system import System, draft, send, wait_for

FIRST_OF_EACH = ("video/360p/1.m4s", "audio/main/1.m4s")
PATIENCE_S = 120


@dataclass(frozen=True)
class FirstSight:
    """How long a viewer waited, in seconds from the last uploaded byte on."""

    video: dict[str, Any]
    planned_s: float
    """Until the playback URLs were known."""
    seen_s: float
    """Until the first segment of the lowest rung and its sound were there."""


class Viewer:
    """Hears the plan over SSE, and fetches the first segments of the lowest rung and of the sound.

    Its connections are open beforehand, as a browser's are.
    """

    def __init__(self, system: System, video_id: str) -> None:
        self._video_id = video_id
        self._stack = ExitStack()
        self._page = self._stack.enter_context(system.client())
        self._players = [self._stack.enter_context(system.client()) for _ in FIRST_OF_EACH]
        self._threads = self._stack.enter_context(ThreadPoolExecutor(1 + len(self._players)))
        self._planned: Future[tuple[dict[str, Any], float]] = Future()

    def __enter__(self) -> Self:
        for player in self._players:
            player.get(f"/api/v1/videos/{self._video_id}").raise_for_status()
        listening = threading.Event()
        self._planned = self._threads.submit(self._listen, listening)
        if not listening.wait(PATIENCE_S):
            raise RuntimeError("the event stream does not begin")
        self._arrivals = [
            self._threads.submit(self._fetch, player, path)
            for player, path in zip(self._players, FIRST_OF_EACH, strict=True)
        ]
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def planned(self) -> tuple[dict[str, Any], float]:
        """Return the video once it has a plan, and when that was heard (time.monotonic)."""
        return self._planned.result(PATIENCE_S)

    def arrived(self) -> float:
        """Return when both segments were there (time.monotonic)."""
        return max(arrival.result(PATIENCE_S) for arrival in self._arrivals)

    def _listen(self, listening: threading.Event) -> tuple[dict[str, Any], float]:
        def has_plan(video: dict[str, Any]) -> bool:
            listening.set()
            return bool(video["playback"])

        return wait_for(self._page, self._video_id, has_plan), time.monotonic()

    def _fetch(self, player: httpx.Client, path: str) -> float:
        video, _ = self.planned()
        url = f"/api/v1/content/{video['package_id']}/{path}"
        while (answer := player.get(url)).status_code == 503:
            continue
        answer.raise_for_status()
        return time.monotonic()


def watch_upload(
    system: System, client: httpx.Client, body: Path, title: str, suffix: bytes
) -> FirstSight:
    """Upload a film that a viewer waits for."""
    video_id = draft(client, title)
    with Viewer(system, video_id) as viewer:
        ended_at = send(client, video_id, body, suffix).ended_at
        video, planned_at = viewer.planned()
        return FirstSight(video, planned_at - ended_at, viewer.arrived() - ended_at)
