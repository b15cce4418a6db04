"""What `reelay watch` knows of one package: messages in, in any order and number; a map out.

Each kind of knowledge only grows (sets, latest times), so repeated, late and reordered messages end
in the same map, and a lost connection is mended by hearing everything again. Where something begins
anew, what happened before counts no more, whenever it is heard.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from reelay.cli.watch_decisions import decided_at_s, is_outdated, latest
from reelay.cli.watch_map import News, Package, PackageMap, Row, Viewer, bit_range
from reelay.cli.watch_news import sentence
from reelay.cli.watch_seen import Seen
from reelay.cli.watch_tasks import LONG_AGO, QUIET_S, Tasks
from reelay.cli.watch_waiting import Waiting
from reelay.common.commands import (
    DemandWithdrawn,
    EncodeChunk,
    EncoderAlive,
    Lane,
    SegmentDemanded,
    ViewersSeen,
)
from reelay.common.events import (
    ManifestUpdated,
    PackagePlanned,
    PackageRemoved,
    SegmentFailed,
    SegmentReady,
    TranscodeCompleted,
    TranscodeFailed,
)
from reelay.common.message import Message

ENCODER_QUIET_S = 5.0
NEWS_KEPT = 8
REMOVED = "This package was removed: no video needs it any more."


@dataclass(frozen=True, order=True)
class _Beginning:
    """From when on what happens to the package counts."""

    at: float = LONG_AGO
    was_whole: bool = False
    """Whether all segments were stored then, and only what is asked for since is missing."""


class WatchState:
    """Hears messages about one package; times are seconds since the epoch."""

    def __init__(self, package: Package, title: str = "") -> None:
        self.package = package
        self.title = title
        self.video_id: UUID | None = None
        """The first video that the package was planned for; None until heard."""
        self._beginning = _Beginning()
        self._available: set[tuple[float, str, int]] = set()
        """When which segments of a rendition became available, as bit sets."""
        self._stored = dict.fromkeys(package.names, 0)
        """The same, all together."""
        self._reopened_at = LONG_AGO
        self._tasks = Tasks()
        self._waiting = Waiting()
        self._seen = Seen()
        self._encoders: dict[str, float] = {}
        self._planned: dict[float, UUID] = {}
        self._decided_at: datetime | None = None
        """When the last plan was decided, by the packager's database."""
        self._completed: set[float] = set()
        self._failed: tuple[float, str] = (LONG_AGO, "")
        self._ended: tuple[float, str] | None = None
        self._news: dict[str, float] = {}

    def hear(self, message: Message, at: float) -> None:
        """Note a message that was sent or came at `at`; one about another package is ignored."""
        if getattr(message, "package_id", self.package.package_id) != self.package.package_id:
            return
        match message:
            case EncodeChunk():
                self._tasks.ask(message, at)
            case SegmentReady():
                self._tasks.hear_of(message.task_id, at)
            case SegmentFailed():
                self._tasks.give_up(message.task_id, message.attempt, at)
            case SegmentDemanded():
                self._waiting.demand(message, at)
            case DemandWithdrawn():
                self._waiting.withdraw(message, at)
            case ViewersSeen():
                self._seen.note(message, at)
            case EncoderAlive():
                heard = self._encoders.get(message.encoder_id, at)
                self._encoders[message.encoder_id] = max(heard, at)
            case _:
                self._note_fact(message, at)
        self._note_news(sentence(message, self.package), at)

    def see_work(self, tasks: Collection[UUID], at: float) -> None:
        """Note which tasks lay in the queue at `at`: they are under way, however long they lie."""
        self._tasks.see(tasks, at)

    def mark_complete(self, at: float) -> None:
        """Note that all segments are stored, and have been since `at` at the latest."""
        self._completed.add(at)

    def forget_until(self, at: float) -> None:
        """Let count no more what happened until `at`: the package was removed then."""
        self._begin(_Beginning(at))

    def reopen(self, at: float) -> None:
        """Let a complete package be under way again at `at`: it is being repaired.

        All of it counts as stored but what encoders are asked for since.
        """
        self._reopened_at = at
        self._begin(_Beginning(max(self._completed), was_whole=True))

    def is_given_up(self, now: float) -> bool:
        """Tell whether nobody works at the repair of a package that was reopened."""
        if not self.is_under_repair or self._encoding():
            return False
        return now - max(self._reopened_at, self._tasks.last_heard_at) > QUIET_S

    @property
    def is_under_repair(self) -> bool:
        """Whether the package was reopened, and is not complete again."""
        return self._beginning.was_whole and not self.is_complete

    def end(self, reason: str, at: float) -> None:
        """Note that nothing more will come of the package for those who watch it, for good."""
        self._ended = self._ended or (at, reason)

    @property
    def is_complete(self) -> bool:
        """Whether all segments are stored."""
        return self._completed_at is not None

    def map(self, now: float) -> PackageMap:
        """Return all that is known at `now`."""
        failure = self._failure()
        encoding = {} if failure or self.is_complete else self._encoding()
        stored = {name: self._stored_of(name, encoding.get(name, {})) for name in self._stored}
        return PackageMap(
            package=self.package,
            title=self.title or self.package.package_id[:12],
            state="failed" if failure else self._progress(stored),
            reason=failure[1] if failure else "",
            rows=tuple(
                Row(rendition, stored[rendition.name], encoding.get(rendition.name, {}))
                for rendition in self.package.top_down
            ),
            viewers=self._viewers(now, stored),
            encoders=sum(now - at < ENCODER_QUIET_S for at in self._encoders.values()),
            elapsed_s=self._elapsed_s(now, failure),
            news=tuple(News(at, text) for text, at in _newest(self._news)),
        )

    def _note_fact(self, message: Message, at: float) -> None:
        match message:
            case ManifestUpdated():
                for part in message.available:
                    self._store(part.rendition, bit_range(part.first, part.last), at)
            case PackagePlanned():
                known = self._planned.get(at, message.video_id)
                self._planned[at] = min(known, message.video_id)
                self.video_id = self._planned[min(self._planned)]
                self._decided_at = latest(self._decided_at, message.decided_at)
            case TranscodeCompleted():
                self.mark_complete(at)
            case TranscodeFailed() if not is_outdated(message, self._decided_at):
                self._failed = max(self._failed, (at, message.reason))
            case PackageRemoved():
                if is_outdated(message, self._decided_at):
                    self.forget_until(decided_at_s(message))
                else:
                    self._failed = max(self._failed, (at, REMOVED))
                    self.forget_until(at)

    def _note_news(self, text: str, at: float) -> None:
        if text:
            self._news[text] = max(self._news.get(text, at), at)
            self._news = dict(_newest(self._news))

    def _store(self, rendition: str, bits: int, at: float) -> None:
        if rendition in self._stored and at > self._beginning.at:
            self._available.add((at, rendition, bits))
            self._stored[rendition] |= bits & self.package.rendition(rendition).whole

    def _begin(self, beginning: _Beginning) -> None:
        self._beginning = max(self._beginning, beginning)
        known, self._available = self._available, set()
        self._stored = dict.fromkeys(self._stored, 0)
        for at, rendition, bits in known:
            self._store(rendition, bits, at)

    @property
    def _completed_at(self) -> float | None:
        return min((at for at in self._completed if at > self._beginning.at), default=None)

    @property
    def _planned_at(self) -> list[float]:
        return [at for at in self._planned if at > self._beginning.at]

    def _failure(self) -> tuple[float, str] | None:
        """Return when and why nothing more will come; None while something may."""
        if self._ended is not None or self.is_complete:
            return self._ended
        # A failed package is planned again when somebody asks for it again; the later one holds.
        holds_from = max([LONG_AGO, self._beginning.at, *self._planned_at])
        at = self._failed[0]
        return self._failed if at > LONG_AGO and at >= holds_from else None

    def _progress(self, stored: Mapping[str, int]) -> str:
        if self.is_complete:
            return "ready"
        opened = all(stored[name] & 1 for name in self.package.opening)
        return "playable" if opened else "planned"

    def _elapsed_s(self, now: float, failure: tuple[float, str] | None) -> float | None:
        """Time since the plan, or since the package was planned again after a failure."""
        since = min((at for at in self._planned_at if at > self._failed[0]), default=None)
        since = min(self._planned_at, default=None) if since is None else since
        if since is None:
            return None
        end = failure[0] if failure else now
        return max(0.0, (end if self._completed_at is None else self._completed_at) - since)

    def _stored_of(self, rendition: str, encoding: Mapping[Lane, int]) -> int:
        """Return what is stored of a rendition, as a bit set."""
        stored, whole = self._stored[rendition], self.package.rendition(rendition).whole
        if self.is_complete:
            return whole
        if self._beginning.was_whole:
            for bits in encoding.values():
                whole &= ~bits
            return whole | stored
        return stored

    def _encoding(self) -> dict[str, Mapping[Lane, int]]:
        """Return what is under way and not stored; each segment in its most urgent lane alone."""
        lanes: dict[str, dict[Lane, int]] = {}
        taken = dict(self._stored)
        # With a package that fails or is removed all its tasks end.
        tasks = list(self._tasks.under_way(max(self._beginning.at, self._failed[0])))
        for lane in Lane:
            for asked in (task.get(lane, {}) for task in tasks):
                for name in asked.keys() & taken.keys():
                    new = asked[name] & self.package.rendition(name).whole & ~taken[name]
                    if new:
                        taken[name] |= new
                        mine = lanes.setdefault(name, {})
                        mine[lane] = mine.get(lane, 0) | new
        return {name: dict(mine) for name, mine in lanes.items()}

    def _viewers(self, now: float, stored: Mapping[str, int]) -> tuple[Viewer, ...]:
        waiting = {
            (path, viewer)
            for path, viewer in self._waiting.places(now)
            if self._is_missing(path, stored)
        }
        who_wait = {viewer for _, viewer in waiting}
        seen = {place for place in self._seen.places(now) if place[1] not in who_wait}
        viewers = self._at_segments(waiting, waits=True) + self._at_segments(seen, waits=False)
        return tuple(sorted(viewers, key=lambda one: (one.position_s, one.rendition, one.waits)))

    def _is_missing(self, path: str, stored: Mapping[str, int]) -> bool:
        """Tell whether what a path promises is not there; an init segment comes with any other."""
        place = self.package.locate(path)
        if place is None:
            return False
        rendition, number = place
        return not stored[rendition.name] & (1 << (number - 1) if number else rendition.whole)

    def _at_segments(self, places: Collection[tuple[str, str]], *, waits: bool) -> list[Viewer]:
        """Return the viewers at promised segments, given who is at which path."""
        found = Counter[tuple[str, int]]()
        for path, _ in places:
            if place := self.package.locate(path):
                rendition, number = place
                found[rendition.name, number or 1] += 1
        return [
            Viewer(name, number, self.package.rendition(name).start_s(number), count, waits)
            for (name, number), count in found.items()
        ]


def _newest(news: Mapping[str, float]) -> list[tuple[str, float]]:
    """Return the newest sentences, newest first; a repeated one counts once, at its last time."""
    return sorted(news.items(), key=lambda item: (-item[1], item[0]))[:NEWS_KEPT]
