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
    sights: dict[str, _Sight] = field(default_factory=dict)


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
        now_s = self._now()
        with self._lock:
            watched = self._watched.get(name.package_id)
            if watched is None:
                return
            if watched.until_s < now_s:
                del self._watched[name.package_id]
                return
            before = watched.sights.pop(viewer, None)
            if before is not None and name.path.startswith(SOUND):
                # Sound is fetched beside pictures, often further ahead: these tell where they are.
                fresh = now_s - before.at_s < SEEN_S and not before.path.startswith(SOUND)
                watched.sights[viewer] = before if fresh else _Sight(name.path, now_s)
            else:
                watched.sights[viewer] = _Sight(name.path, now_s)
            if len(watched.sights) > MAX_VIEWERS:
                del watched.sights[next(iter(watched.sights))]

    def ask(self, package_id: str) -> list[ViewerSeen]:
        """Return who was seen in the last ten seconds; note those who come in the next five."""
        now_s = self._now()
        with self._lock:
            for other in [each for each, it in self._watched.items() if it.until_s < now_s]:
                del self._watched[other]
            watched = self._watched.setdefault(package_id, _Watched(now_s))
            watched.until_s = now_s + ASKED_S
            return [
                ViewerSeen(viewer=viewer, path=sight.path, ago_s=now_s - sight.at_s)
                for viewer, sight in watched.sights.items()
                if now_s - sight.at_s < SEEN_S
            ]
