"""Who stands still when work becomes less urgent in its midst."""

from reelay.encoder.adapters.lane_gate import LaneGate
from reelay.encoder.domain.precedence import Rank


class Process:
    """One that can stand still."""

    def __init__(self) -> None:
        self.stands = False

    def pause(self) -> None:
        self.stands = True

    def resume(self) -> None:
        self.stands = False


async def test_work_that_became_less_urgent_rests_for_what_it_was_equal_to():
    gate, process = LaneGate(longest_pause_s=10.0), Process()
    with gate.seat(Rank.OPENING) as first:
        first.hold(process)
        with gate.seat(Rank.OPENING):
            assert not process.stands
            gate.move(first, Rank.OPENED)
            assert process.stands
        assert not process.stands


async def test_work_that_became_less_urgent_and_ended_is_in_nobodys_way():
    gate, process = LaneGate(longest_pause_s=10.0), Process()
    with gate.seat(Rank.LADDER) as ladder:
        ladder.hold(process)
        with gate.seat(Rank.OPENING) as opening:
            gate.move(opening, Rank.OPENED)
            assert process.stands
        assert not process.stands
