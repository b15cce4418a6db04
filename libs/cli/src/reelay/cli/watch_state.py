"""What `reelay watch` knows of one package: messages in, in any order and number; a map out.

Each kind of knowledge only grows (sets, latest times), so repeated, late and reordered messages end
in the same map, and a lost connection is mended by hearing everything again.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from reelay.cli.watch_map import News, Package, PackageMap, Row, Viewer, bit_range, lowest
from reelay.cli.watch_news import sentence
from reelay.common.commands import EncodeChunk, EncoderAlive, Lane, SegmentDemanded
from reelay.common.events import (
    ManifestUpdated,
    PackagePlanned,
    SegmentFailed,
    SegmentReady,
    TranscodeCompleted,
    TranscodeFailed,
)
from reelay.common.message import Message

TASK_QUIET_S = 120.0
"""A task that was neither heard of nor seen in the queue for so long counts as given up."""
ENCODER_QUIET_S = 5.0
VIEWER_QUIET_S = 3.0
NEWS_KEPT = 8
LONG_AGO = float("-inf")


@dataclass
class _Task:
    """One run of segments that encoders were asked for."""

    heard_at: float = LONG_AGO
    failed_attempt: int = 0
    asked: dict[int, dict[Lane, dict[str, int]]] = field(default_factory=dict)
    """By attempt and lane: rendition → its segments, as a bit set."""

    def is_under_way(self, looked_at: float) -> bool:
        """Tell whether it is, as far as a look at the queue tells that began at `looked_at`."""
        return bool(
            self.asked
            and max(self.asked) > self.failed_attempt
            and looked_at - self.heard_at < TASK_QUIET_S
        )


class WatchState:
    """Hears messages about one package; times are seconds since the epoch."""

    def __init__(self, package: Package, title: str = "") -> None:
        self.package = package
        self.title = title
        self.video_id: UUID | None = None
        """The first video that the package was planned for; None until heard."""
        self._stored = dict.fromkeys(package.names, 0)
        self._tasks: dict[UUID, _Task] = {}
        self._looked_at = LONG_AGO
        self._demands: dict[str, float] = {}
        self._encoders: dict[str, float] = {}
        self._planned: dict[float, UUID] = {}
        self._completed_at: float | None = None
        self._failed: tuple[float, str] = (LONG_AGO, "")
        self._news: dict[str, float] = {}

    def hear(self, message: Message, at: float) -> None:
        """Note a message that was sent or came at `at`; one about another package is ignored."""
        if getattr(message, "package_id", self.package.package_id) != self.package.package_id:
            return
        match message:
            case ManifestUpdated():
                for part in message.available:
                    self._store(part.rendition, bit_range(part.first, part.last))
            case EncodeChunk():
                self._note_chunk(message, at)
            case SegmentReady():
                self._task(message.task_id, at)
            case SegmentFailed():
                task = self._task(message.task_id, at)
                task.failed_attempt = max(task.failed_attempt, message.attempt)
            case SegmentDemanded():
                self._demands[message.path] = max(self._demands.get(message.path, at), at)
            case EncoderAlive():
                heard = self._encoders.get(message.encoder_id, at)
                self._encoders[message.encoder_id] = max(heard, at)
            case _:
                self._note_outcome(message, at)
        self._note_news(sentence(message, self.package), at)

    def see_work(self, tasks: Collection[UUID], at: float) -> None:
        """Note which tasks lay in the queue at `at`: they are under way, however long they lie."""
        for task_id in tasks:
            self._task(task_id, at)
        self._looked_at = max(self._looked_at, at)

    def mark_complete(self, at: float) -> None:
        """Note that all segments are stored, and have been since `at` at the latest."""
        known_at = self._completed_at
        self._completed_at = at if known_at is None else min(known_at, at)
        for name in self._stored:
            self._store(name, self.package.rendition(name).whole)

    @property
    def is_complete(self) -> bool:
        """Whether all segments are stored, for good."""
        return self._completed_at is not None

    def map(self, now: float) -> PackageMap:
        """Return all that is known at `now`."""
        encoding = self._encoding()
        rows = tuple(
            Row(rendition, self._stored[rendition.name], encoding.get(rendition.name, {}))
            for rendition in self.package.top_down
        )
        return PackageMap(
            package=self.package,
            title=self.title or self.package.package_id[:12],
            state=self._state(),
            reason=self._failed[1],
            rows=rows,
            viewers=self._viewers(now),
            encoders=sum(now - at < ENCODER_QUIET_S for at in self._encoders.values()),
            elapsed_s=self._elapsed_s(now),
            news=tuple(News(at, text) for text, at in _newest(self._news)),
        )

    def _store(self, rendition: str, bits: int) -> None:
        if rendition in self._stored:
            self._stored[rendition] |= bits & self.package.rendition(rendition).whole

    def _task(self, task_id: UUID, at: float) -> _Task:
        task = self._tasks.setdefault(task_id, _Task())
        task.heard_at = max(task.heard_at, at)
        return task

    def _note_chunk(self, chunk: EncodeChunk, at: float) -> None:
        parts = {output.rendition: chunk.segments for output in chunk.video}
        if chunk.audio_rendition:
            parts[chunk.audio_rendition] = chunk.audio_segments
        asked = self._task(chunk.task_id, at).asked.setdefault(chunk.attempt, {})
        lane = asked.setdefault(chunk.lane, {})
        for name, segments in parts.items():
            for segment in segments:
                lane[name] = lane.get(name, 0) | bit_range(segment.number, segment.number)

    def _note_outcome(self, message: Message, at: float) -> None:
        match message:
            case PackagePlanned():
                known = self._planned.get(at, message.video_id)
                self._planned[at] = min(known, message.video_id)
                self.video_id = self._planned[min(self._planned)]
            case TranscodeCompleted():
                self.mark_complete(at)
            case TranscodeFailed():
                self._failed = max(self._failed, (at, message.reason))

    def _note_news(self, text: str, at: float) -> None:
        if text:
            self._news[text] = max(self._news.get(text, at), at)
            self._news = dict(_newest(self._news))

    def _state(self) -> str:
        if self._completed_at is not None:
            return "ready"
        # A failed package is planned again when somebody asks for it again; the later one holds.
        if self._failed[0] > LONG_AGO and self._failed[0] >= max(self._planned, default=LONG_AGO):
            return "failed"
        opened = all(self._stored[name] & 1 for name in self.package.opening)
        return "playable" if opened else "planned"

    def _elapsed_s(self, now: float) -> float | None:
        """Time since the plan, or since the package was planned again after a failure."""
        since = min((at for at in self._planned if at > self._failed[0]), default=None)
        since = min(self._planned, default=None) if since is None else since
        if since is None:
            return None
        end = now if self._completed_at is None else self._completed_at
        if self._state() == "failed":
            end = self._failed[0]
        return max(0.0, end - since)

    def _encoding(self) -> dict[str, Mapping[Lane, int]]:
        """Return what is under way and not stored; each segment in its most urgent lane alone."""
        lanes: dict[str, dict[Lane, int]] = {}
        taken = dict(self._stored)
        if self._state() in ("ready", "failed"):
            return {}
        tasks = [task for task in self._tasks.values() if task.is_under_way(self._looked_at)]
        for lane in Lane:
            for asked in (task.asked[max(task.asked)].get(lane, {}) for task in tasks):
                for name in asked.keys() & taken.keys():
                    new = asked[name] & self.package.rendition(name).whole & ~taken[name]
                    if new:
                        taken[name] |= new
                        mine = lanes.setdefault(name, {})
                        mine[lane] = mine.get(lane, 0) | new
        return {name: dict(mine) for name, mine in lanes.items()}

    def _viewers(self, now: float) -> tuple[Viewer, ...]:
        found = set()
        for path, at in self._demands.items():
            place = self.package.locate(path) if now - at < VIEWER_QUIET_S else None
            if place is not None:
                rendition, number = place
                # For an init segment a viewer waits until any segment of the rendition is stored.
                missing = rendition.whole & ~self._stored[rendition.name]
                number = number or lowest(missing) or 1
                found.add(Viewer(rendition.name, number, rendition.start_s(number)))
        return tuple(sorted(found, key=lambda viewer: (viewer.position_s, viewer.rendition)))


def _newest(news: Mapping[str, float]) -> list[tuple[str, float]]:
    """Return the newest sentences, newest first; a repeated one counts once, at its last time."""
    return sorted(news.items(), key=lambda item: (-item[1], item[0]))[:NEWS_KEPT]
