"""What viewers wait for, and where they are: soft state that lapses when nobody repeats it."""

import re
from collections import defaultdict
from dataclasses import dataclass, field
from operator import itemgetter

LAPSE_S = 2.0
"""A demand that is not repeated for this long is dropped: its viewer has left or been served."""

ANSWERED_S = 2.0
"""Who goes on asking for what there is nothing to do for is not listened to for so long."""

MISSED_S = 0.75
"""A demand is repeated every 0.5 s: after this time one repetition is missing, and its viewer has
probably left."""

FOCUS_S = 60.0
"""How long after the last demand the ladder still works around its position."""

INIT = "init.mp4"
NUMBER = re.compile(r"[1-9][0-9]{0,8}")
SEGMENT_SUFFIX = ".m4s"


@dataclass(frozen=True)
class Wanted:
    """A demanded segment of one rendition; `number` 0 is its init segment."""

    package_id: str
    rendition_path: str
    number: int


def parse_path(package_id: str, path: str) -> Wanted | None:
    """Return what a demanded path means; None for what is not a segment."""
    folder, _, name = path.rpartition("/")
    if name == INIT:
        return Wanted(package_id, folder, 0)
    stem = name.removesuffix(SEGMENT_SUFFIX)
    if stem != name and NUMBER.fullmatch(stem):
        return Wanted(package_id, folder, int(stem))
    return None


@dataclass
class Turn:
    """What is made at one turn of a viewer: a segment of one rung, and its sound."""

    package_id: str
    number: int
    wanted: dict[str, Wanted] = field(default_factory=dict)
    """By name of the rendition."""
    has_picture: bool = False


class Turns:
    """Demands in the order in which they are served, as turns.

    Other rungs of the same segment have turns of their own, where they stand in the queue: who asks
    for all of them does not make another's one rung wait for them.
    """

    def __init__(self) -> None:
        self.all: list[Turn] = []
        self._last: dict[tuple[str, int], Turn] = {}

    def add(self, wanted: Wanted, number: int, name: str, *, is_picture: bool) -> None:
        """Add a demand that is behind all others so far."""
        turn = self._last.get((wanted.package_id, number))
        if turn is None or (is_picture and turn.has_picture):
            turn = self._last[wanted.package_id, number] = Turn(wanted.package_id, number)
            self.all.append(turn)
        turn.wanted[name] = wanted
        turn.has_picture |= is_picture


@dataclass
class _Demand:
    """What one viewer waits for."""

    first_heard_s: float
    heard_s: dict[str, float] = field(default_factory=dict)
    """When each teller, the process at which the viewer waits, said so last."""

    @property
    def last_heard_s(self) -> float:
        """When somebody said so last."""
        return max(self.heard_s.values())


@dataclass
class DemandBoard:
    """The demands of the last seconds. Times are one monotonic clock's, in seconds."""

    _demands: dict[Wanted, dict[str, _Demand]] = field(default_factory=dict)
    """By segment and viewer."""
    _answered: dict[Wanted, float] = field(default_factory=dict)
    """When those demands were heard last that there was nothing to do for."""
    _focus: dict[str, tuple[int, float]] = field(default_factory=dict)
    _served: dict[str, float] = field(default_factory=dict)
    """When something was last under way for each viewer and each address that waits."""

    def hear(self, wanted: Wanted, viewer: str, now_s: float, teller: str = "") -> bool:
        """Note a demand; True when nobody was waiting for the segment.

        One that was forgotten a moment ago is not noted.
        """
        if now_s - self._answered.get(wanted, -ANSWERED_S) < ANSWERED_S:
            return False
        viewers = {
            name: demand
            for name, demand in self._demands.get(wanted, {}).items()
            if now_s - demand.last_heard_s <= LAPSE_S
        }
        news = not viewers
        begins = viewer not in viewers
        viewers.setdefault(viewer, _Demand(now_s)).heard_s[teller] = now_s
        self._demands[wanted] = viewers
        if wanted.number and (begins or self._is_focus(wanted)):
            self._focus[wanted.package_id] = (wanted.number, now_s)
        return news

    def withdraw(self, wanted: Wanted, viewer: str, teller: str) -> None:
        """Drop what a teller demanded for a viewer; where the viewer waits at others, it lasts."""
        viewers = self._demands.get(wanted, {})
        demand = viewers.get(viewer)
        if demand is None:
            return
        demand.heard_s.pop(teller, None)
        if not demand.heard_s:
            del viewers[viewer]
        if not viewers:
            del self._demands[wanted]

    def serve(self, wanted: Wanted, now_s: float) -> None:
        """Note that a segment is under way: those who wait for it have their turn."""
        for viewer in self._demands.get(wanted, ()):
            self._served[viewer] = self._served[_address(viewer)] = now_s

    def forget(self, wanted: Wanted) -> None:
        """Drop a demand that there is nothing to do for: it is met, or was never promised.

        For a while it is not heard again: its repetitions may be under way, or go on for ever.
        """
        viewers = self._demands.pop(wanted, {})
        if viewers:
            self._answered[wanted] = max(demand.last_heard_s for demand in viewers.values())

    def focus(self, package_id: str, now_s: float) -> int | None:
        """Return the segment that was demanded last, if viewers were there in the last minute."""
        number, heard_s = self._focus.get(package_id, (0, 0.0))
        return number if number and now_s - heard_s <= FOCUS_S else None

    def waiting(self, now_s: float) -> list[Wanted]:
        """Return the segments that are still waited for, in the order in which they are served.

        Addresses take turns, at each address its players do, and each one's demands are served as
        `_in_order` says: who asks for everything at once, under whatever names, delays nobody else
        by more than one turn, also not where both wait for the same segment. A turn lasts beyond
        its segment: who had one goes behind all who have waited since before it.
        """
        self._lapse(now_s)
        at_address: dict[str, list[tuple[int, float, Wanted]]] = defaultdict(list)
        for viewer, mine in self._by_viewer().items():
            for turn, wanted in enumerate(_in_order(mine, now_s)):
                heard_s = mine[wanted].first_heard_s
                since_s = max(heard_s, self._served.get(viewer, heard_s))
                at_address[_address(viewer)].append((turn, since_s, wanted))
        queue = [
            (turn, max(since_s, self._served.get(address, since_s)), wanted)
            for address, demands in at_address.items()
            for turn, (_, since_s, wanted) in enumerate(sorted(demands, key=itemgetter(0, 1)))
        ]
        return list(dict.fromkeys(wanted for _, _, wanted in sorted(queue, key=itemgetter(0, 1))))

    def _by_viewer(self) -> dict[str, dict[Wanted, _Demand]]:
        mine: dict[str, dict[Wanted, _Demand]] = defaultdict(dict)
        for wanted, viewers in self._demands.items():
            for viewer, demand in viewers.items():
                mine[viewer][wanted] = demand
        return mine

    def _is_focus(self, wanted: Wanted) -> bool:
        return self._focus.get(wanted.package_id, (0, 0.0))[0] == wanted.number

    def _lapse(self, now_s: float) -> None:
        for wanted, viewers in list(self._demands.items()):
            for viewer, demand in list(viewers.items()):
                if now_s - demand.last_heard_s > LAPSE_S:
                    del viewers[viewer]
            if not viewers:
                del self._demands[wanted]
        self._answered = {
            wanted: heard_s
            for wanted, heard_s in self._answered.items()
            if now_s - heard_s < ANSWERED_S
        }
        waiting = {viewer for viewers in self._demands.values() for viewer in viewers}
        waiting |= set(map(_address, waiting))
        self._served = {name: at_s for name, at_s in self._served.items() if name in waiting}
        self._focus = {
            package: (number, heard_s)
            for package, (number, heard_s) in self._focus.items()
            if now_s - heard_s <= FOCUS_S
        }


def _in_order(mine: dict[Wanted, _Demand], now_s: float) -> list[Wanted]:
    """Return one viewer's demands as they are served.

    First what has waited for longer than any that was left could, oldest first: nobody who sits on
    is passed over for ever. Then the position that was come to last, then those before it, each
    from its oldest demand on; last what missed a repetition.
    """
    came = sorted(mine, key=lambda wanted: mine[wanted].first_heard_s)
    missed = {w for w in came if now_s - mine[w].last_heard_s > MISSED_S}
    patient = {w for w in came if now_s - mine[w].first_heard_s > LAPSE_S}
    newest_s = _newest_at_position(mine)

    def rank(wanted: Wanted) -> tuple[bool, bool, float]:
        if wanted in missed or wanted in patient:
            return wanted in missed, wanted not in patient, 0.0
        return False, True, -newest_s[wanted]

    return sorted(came, key=rank)  # Within a rank they stay as they came.


def _newest_at_position(mine: dict[Wanted, _Demand]) -> dict[Wanted, float]:
    """Return when something was last asked for first at the position of each demand.

    Segments of one film without a gap are one position, in whatever renditions.
    """
    positions: list[list[Wanted]] = []
    for wanted in sorted(mine, key=lambda wanted: (wanted.package_id, wanted.number)):
        last = positions[-1][-1] if positions else None
        if last and last.package_id == wanted.package_id and wanted.number - last.number <= 1:
            positions[-1].append(wanted)
        else:
            positions.append([wanted])
    newest_s: dict[Wanted, float] = {}
    for position in positions:
        newest_s |= dict.fromkeys(position, max(mine[w].first_heard_s for w in position))
    return newest_s


def _address(viewer: str) -> str:
    """Return the part of a viewer's name that players at one address share."""
    return viewer.partition("-")[0]
