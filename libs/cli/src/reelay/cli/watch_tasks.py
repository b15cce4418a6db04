"""What encoders were asked for of a package that is watched, and whether it is still under way.

As in `watch_state`, each kind of knowledge only grows, and times are seconds since the epoch.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from reelay.cli.watch_map import bit_range
from reelay.common.commands import EncodeChunk, Lane

QUIET_S = 120.0
"""A task that was neither heard of nor seen in the queue for so long counts as given up."""
LONG_AGO = float("-inf")


@dataclass
class _Task:
    """One run of segments that encoders were asked for."""

    heard_at: float = LONG_AGO
    asked_at: float = LONG_AGO
    """When its last attempt was asked for; seeing it in the queue makes it no younger."""
    failed_attempt: int = 0
    asked: dict[int, dict[Lane, dict[str, int]]] = field(default_factory=dict)
    """By attempt and lane: rendition → its segments, as a bit set."""


class Tasks:
    """All tasks of one package."""

    def __init__(self) -> None:
        self._tasks: dict[UUID, _Task] = {}
        self._looked_at = LONG_AGO

    def ask(self, chunk: EncodeChunk, at: float) -> None:
        """Note that encoders were asked for a chunk at `at`."""
        parts = {output.rendition: chunk.segments for output in chunk.video}
        if chunk.audio_rendition:
            parts[chunk.audio_rendition] = chunk.audio_segments
        task = self._hear_of(chunk.task_id, at)
        task.asked_at = max(task.asked_at, at)
        lane = task.asked.setdefault(chunk.attempt, {}).setdefault(chunk.lane, {})
        for name, segments in parts.items():
            for segment in segments:
                lane[name] = lane.get(name, 0) | bit_range(segment.number, segment.number)

    def hear_of(self, task_id: UUID, at: float) -> None:
        """Note that a task was alive at `at`."""
        self._hear_of(task_id, at)

    def give_up(self, task_id: UUID, attempt: int, at: float) -> None:
        """Note that an attempt failed, and with it all before."""
        task = self._hear_of(task_id, at)
        task.failed_attempt = max(task.failed_attempt, attempt)

    def see(self, tasks: Collection[UUID], at: float) -> None:
        """Note which tasks lay in the queue at `at`: they are alive, however long they lie."""
        for task_id in tasks:
            self._hear_of(task_id, at)
        self._looked_at = max(self._looked_at, at)

    def under_way(self, since: float) -> Iterator[Mapping[Lane, Mapping[str, int]]]:
        """Yield what is under way of each task that was asked for after `since`.

        By lane: rendition → its segments, as a bit set. None is given up before the queue was
        looked at again.
        """
        for task in self._tasks.values():
            if task.asked_at > since and self._looked_at - task.heard_at < QUIET_S:
                attempt = max(task.asked)
                if attempt > task.failed_attempt:
                    yield task.asked[attempt]

    @property
    def last_heard_at(self) -> float:
        """When any task was alive last."""
        return max((task.heard_at for task in self._tasks.values()), default=LONG_AGO)

    def _hear_of(self, task_id: UUID, at: float) -> _Task:
        task = self._tasks.setdefault(task_id, _Task())
        task.heard_at = max(task.heard_at, at)
        return task
