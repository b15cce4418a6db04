"""Which lanes rest while a higher one works, and when they get a turn all the same."""

from collections import Counter
from collections.abc import Iterable

from reelay.common.commands import Lane

ORDER = tuple(Lane)
"""Most urgent first."""
TURN_SHARE = 0.2
"""Of the time, a lane that others keep resting runs at least this share."""


class Precedence:
    """Lanes with work, and what time has made of them.

    A lane rests while a higher one has work, but at most `longest_rest_s`, in one piece or with
    short gaps: then it has a turn, a quarter as long as it rested, beside whatever runs. Times are
    seconds of one monotonic clock, and never go back.
    """

    def __init__(self, longest_rest_s: float) -> None:
        self._longest_s = longest_rest_s
        self._payback = (1 - TURN_SHARE) / TURN_SHARE
        self._working: Counter[Lane] = Counter()
        self._rested_s = dict.fromkeys(ORDER, 0.0)
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
        for lane in ORDER:
            if lane in resting:
                self._rested_s[lane] += passed_s
            else:
                self._rested_s[lane] -= passed_s * self._payback
            if self._rested_s[lane] >= self._longest_s:
                self._turns.add(lane)
            elif self._rested_s[lane] <= 0:
                self._rested_s[lane] = 0.0
                self._turns.discard(lane)

    def resting(self) -> frozenset[Lane]:
        """Return the lanes whose work must not run now."""
        return frozenset(set(self._outranked()) - self._turns) if self._longest_s else frozenset()

    def change_s(self) -> float | None:
        """Return after which time the answer changes by itself; None when it does not."""
        waits = [
            self._rested_s[lane] / self._payback
            if lane in self._turns
            else self._longest_s - self._rested_s[lane]
            for lane in self._outranked()
        ]
        return min(waits, default=None) if self._longest_s else None

    def _outranked(self) -> Iterable[Lane]:
        """Return the lanes with work that are lower than another with work."""
        return [lane for lane in ORDER if self._working[lane]][1:]
