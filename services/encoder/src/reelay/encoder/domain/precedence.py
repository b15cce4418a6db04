"""Which lanes rest while a higher one works, and when they get a turn all the same."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from reelay.common.commands import Lane

ORDER = tuple(Lane)
"""Most urgent first."""
LONGEST_OPENING_REST_S = 1.0
"""Longer than what a viewer waits for after a seek (about 0.8 s), so that a seek alone is left in
peace; no longer, as somebody waits for an opening too."""
OPENING_SHARE = 0.5
LADDER_SHARE = 0.2


@dataclass(frozen=True)
class Rest:
    """How long a lane rests for higher ones at the most, and which share of the time it runs then.

    With a longest rest of 0 it never rests.
    """

    longest_s: float
    share: float

    @property
    def payback(self) -> float:
        """Seconds of rest that one second of running makes good for."""
        return (1 - self.share) / self.share


def lane_rests(longest_s: float) -> dict[Lane, Rest]:
    """Return the rest of each lane that has one, none of them longer than `longest_s`."""
    return {
        Lane.OPENING: Rest(min(LONGEST_OPENING_REST_S, longest_s), OPENING_SHARE),
        Lane.LADDER: Rest(longest_s, LADDER_SHARE),
    }


class Precedence:
    """Lanes with work, and what time has made of them.

    A lane rests while a higher one has work, but at most as long as its `Rest` says, in one piece
    or with short gaps: then it has a turn beside whatever runs, so long that it gets its share.
    A lane without a `Rest` never rests. Times are seconds of one monotonic clock, and never go
    back.
    """

    def __init__(self, rests: Mapping[Lane, Rest]) -> None:
        self._rests = {lane: rest for lane, rest in rests.items() if rest.longest_s > 0}
        self._working: Counter[Lane] = Counter()
        self._rested_s = dict.fromkeys(self._rests, 0.0)
        self._turns: set[Lane] = set()
        self._now_s: float | None = None

    def enter(self, lane: Lane, now_s: float) -> None:
        """Note that there is one more piece of work in a lane."""
        self.advance(now_s)
        self._working[lane] += 1

    def leave(self, lane: Lane, now_s: float) -> None:
        """Note that there is one less."""
        self.advance(now_s)
        self._working[lane] -= 1

    def advance(self, now_s: float) -> None:
        """Let time go by."""
        passed_s = now_s - (now_s if self._now_s is None else self._now_s)
        self._now_s = now_s
        resting = self.resting()
        for lane, rest in self._rests.items():
            if lane in resting:
                self._rested_s[lane] += passed_s
            else:
                self._rested_s[lane] -= passed_s * rest.payback
            if self._rested_s[lane] >= rest.longest_s:
                self._turns.add(lane)
            elif self._rested_s[lane] <= 0:
                self._rested_s[lane] = 0.0
                self._turns.discard(lane)

    def resting(self) -> frozenset[Lane]:
        """Return the lanes whose work must not run now."""
        return frozenset(self._outranked()) - self._turns

    def change_s(self) -> float | None:
        """Return after which time the answer changes by itself; None when it does not."""
        return min(map(self._change_of_s, self._outranked()), default=None)

    def _change_of_s(self, lane: Lane) -> float:
        """Return how long a lane's rest or turn still lasts."""
        rest, rested_s = self._rests[lane], self._rested_s[lane]
        return rested_s / rest.payback if lane in self._turns else rest.longest_s - rested_s

    def _outranked(self) -> list[Lane]:
        """Return the lanes with work that may rest and are lower than another with work."""
        lower = [lane for lane in ORDER if self._working[lane]][1:]
        return [lane for lane in lower if lane in self._rests]
