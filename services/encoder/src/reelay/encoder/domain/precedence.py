"""Which work rests while more urgent work is done, and when it gets a turn all the same."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from reelay.common.commands import EncodeChunk, Lane


class Rank(StrEnum):
    """How urgent work is, the most urgent first.

    Its lane, or that it is the rest of an opening whose first segments are there, or that it runs
    ahead of a viewer.
    """

    ONDEMAND = Lane.ONDEMAND
    OPENING = Lane.OPENING
    OPENED = "opened"
    AHEAD = "ahead"
    LADDER = Lane.LADDER


ORDER = tuple(Rank)
LONGEST_OPENING_REST_S = 1.0
"""Longer than what a viewer waits for after a seek where the source is cheap to decode (0.7 s), so
that this is left in peace; no longer, as somebody waits for an opening too."""
LONGEST_OPENED_REST_S = 2.0
"""Of what follows an opening's first segments: longer than half of the waits after a seek where the
source is costly to decode (1.8 s). Who began to watch has a second of film by then."""
OPENING_SHARE = 0.5
LOWER_SHARE = 0.2
"""Of the ladder, and of what runs ahead: who has come for that may have left for another position,
whose segment then should come as soon as if nothing ran."""


@dataclass(frozen=True)
class Rest:
    """How long a rank rests for higher ones at the most, and which share of the time it runs then.

    With a longest rest of 0 it never rests.
    """

    longest_s: float
    share: float

    @property
    def payback(self) -> float:
        """Seconds of rest that one second of running makes good for."""
        return (1 - self.share) / self.share


def rank_of(task: EncodeChunk) -> Rank:
    """Return how urgent a task is; one of the opening lane that begins no film runs ahead."""
    segments = task.segments or task.audio_segments
    if task.lane is Lane.OPENING and segments and segments[0].number > 1:
        return Rank.AHEAD
    return Rank(task.lane)


def rank_after(task: EncodeChunk, begun: Collection[str]) -> Rank:
    """Return how urgent what is left of a task is, once these renditions have a segment."""
    renditions = [output.rendition for output in task.video]
    if task.audio_rendition is not None and task.audio_segments:
        renditions.append(task.audio_rendition)
    rank = rank_of(task)
    is_begun = all(rendition in begun for rendition in renditions)
    return Rank.OPENED if rank is Rank.OPENING and is_begun else rank


def rests(longest_s: float) -> dict[Rank, Rest]:
    """Return the rest of each rank that has one, none of them longer than `longest_s`."""
    return {
        Rank.OPENING: Rest(min(LONGEST_OPENING_REST_S, longest_s), OPENING_SHARE),
        Rank.OPENED: Rest(min(LONGEST_OPENED_REST_S, longest_s), OPENING_SHARE),
        Rank.AHEAD: Rest(longest_s, LOWER_SHARE),
        Rank.LADDER: Rest(longest_s, LOWER_SHARE),
    }


class Precedence:
    """Ranks with work, and what time has made of them.

    A rank rests while a higher one has work, but at most as long as its `Rest` says, in one piece
    or with short gaps: then it has a turn beside whatever runs, so long that it gets its share.
    One without a `Rest` never rests. Times are seconds of one monotonic clock, and never go
    back.
    """

    def __init__(self, rests: Mapping[Rank, Rest]) -> None:
        self._rests = {rank: rest for rank, rest in rests.items() if rest.longest_s > 0}
        self._working: Counter[Rank] = Counter()
        self._rested_s = dict.fromkeys(self._rests, 0.0)
        self._turns: set[Rank] = set()
        self._now_s: float | None = None

    def enter(self, rank: Rank, now_s: float) -> None:
        """Note that there is one more piece of work in a rank."""
        self.advance(now_s)
        self._working[rank] += 1

    def leave(self, rank: Rank, now_s: float) -> None:
        """Note that there is one less."""
        self.advance(now_s)
        self._working[rank] -= 1

    def advance(self, now_s: float) -> None:
        """Let time go by."""
        passed_s = now_s - (now_s if self._now_s is None else self._now_s)
        self._now_s = now_s
        resting = self.resting()
        for rank, rest in self._rests.items():
            if rank in resting:
                self._rested_s[rank] += passed_s
            else:
                self._rested_s[rank] -= passed_s * rest.payback
            if self._rested_s[rank] >= rest.longest_s:
                self._turns.add(rank)
            elif self._rested_s[rank] <= 0:
                self._rested_s[rank] = 0.0
                self._turns.discard(rank)

    def resting(self) -> frozenset[Rank]:
        """Return the ranks whose work must not run now."""
        return frozenset(self._outranked()) - self._turns

    def change_s(self) -> float | None:
        """Return after which time the answer changes by itself; None when it does not."""
        return min(map(self._change_of_s, self._outranked()), default=None)

    def _change_of_s(self, rank: Rank) -> float:
        """Return how long a rank's rest or turn still lasts."""
        rest, rested_s = self._rests[rank], self._rested_s[rank]
        return rested_s / rest.payback if rank in self._turns else rest.longest_s - rested_s

    def _outranked(self) -> list[Rank]:
        """Return the ranks with work that may rest and are lower than another with work."""
        lower = [rank for rank in ORDER if self._working[rank]][1:]
        return [rank for rank in lower if rank in self._rests]
