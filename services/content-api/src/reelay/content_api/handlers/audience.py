"""Where viewers are in the packages whose map somebody looks at; of others nothing is kept."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

from reelay.common.commands import ViewerSeen
from reelay.content_api.domain.names import ContentName

ASKED_S = 5.0
"""Who looks at a map asks each second; after so long without a question nobody does."""
SEEN_S = 10.0
"""Who fetches nothing for so long is no viewer any more: segments are at most half as long."""
TOLD_S = 0.5
"""All who look at a map hear what is told to one; more often than this nothing is."""
MAX_VIEWERS = 1000
"""Of a package; of more, those who were seen last."""
SEGMENT, SOUND = ".m4s", "audio/"


@dataclass(frozen=True, slots=True)
class _Sight:
    path: str
    at_s: float


@dataclass(slots=True)
class _Watched:
    """A package that is asked about, and its viewers, the one seen last being the last."""

    until_s: float
    told_s: float
    sights: dict[str, _Sight] = field(default_factory=dict)

    def note(self, viewer: str, sight: _Sight) -> None:
        """Note what a viewer is sent; sound counts where there is no picture to tell it."""
        before = self.sights.pop(viewer, None)
        if before is not None and sight.path.startswith(SOUND):
            # It is fetched beside pictures, often further ahead.
            fresh = sight.at_s - before.at_s < SEEN_S and not before.path.startswith(SOUND)
            sight = before if fresh else sight
        self.sights[viewer] = sight
        if len(self.sights) > MAX_VIEWERS:
            del self.sights[next(iter(self.sights))]


class Audience:
    """Notes which segment each viewer was sent last. Segments may be noted on any thread."""

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._watched: dict[str, _Watched] = {}
        self._lock = Lock()

    @property
    def is_asked(self) -> bool:
        """Whether anybody asks for anything: nearly always not, and then this is all it costs."""
        return bool(self._watched)

    def concerns(self, name: ContentName) -> bool:
        """Tell whether an object tells where its viewer is, and somebody asks for that."""
        return name.package_id in self._watched and name.path.endswith(SEGMENT)

    def note(self, name: ContentName, viewer: str) -> None:
        """Note that a viewer is sent an object which `concerns` us."""
        with self._lock:
            if watched := self._watched.get(name.package_id):
                watched.note(viewer, _Sight(name.path, self._now()))

    def ask(self, package_id: str) -> list[ViewerSeen]:
        """Return who was seen in the last ten seconds; note those who come in the next five.

        Nobody, when that was told just before.
        """
        now_s = self._now()
        with self._lock:
            watched = self._watched.setdefault(package_id, _Watched(now_s, now_s - TOLD_S))
            watched.until_s = now_s + ASKED_S
            if not watched.sights or now_s - watched.told_s < TOLD_S:
                return []
            watched.told_s = now_s
            sights = list(watched.sights.items())
        return [
            ViewerSeen(viewer=viewer, path=sight.path, ago_s=now_s - sight.at_s)
            for viewer, sight in sights
            if now_s - sight.at_s < SEEN_S
        ]

    def forget(self) -> None:
        """Forget what nobody asks about any more, and viewers who were not seen for long."""
        now_s = self._now()
        with self._lock:
            asked = {name: it for name, it in self._watched.items() if it.until_s > now_s}
            for watched in asked.values():
                watched.sights = {
                    viewer: sight
                    for viewer, sight in watched.sights.items()
                    if now_s - sight.at_s < SEEN_S
                }
            self._watched = asked
