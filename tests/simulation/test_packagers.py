"""Packagers: batches, and one decision at a time."""

import random
from collections.abc import Callable

import pytest
import simpy

from benchmarks.simulation.packagers import URGENT, DispatchLock, Packagers, replicas
from reelay.common.commands import Lane
from reelay.packager.entrypoints.events import AT_ONCE
from reelay.packager.handlers.packaging import BATCH, LINGER_S
from reelay.packager.handlers.upkeep import made_consumer
from tests.simulation.days import TIMES

HOLD_S = 0.5


class Office:
    """Packagers whose decisions take half a second."""

    def __init__(self, count: int = 1) -> None:
        self.env = simpy.Environment()
        self.decided: list[float] = []
        self.stored: dict[str, float] = {}
        self.lock = DispatchLock(self.env, lambda: HOLD_S)
        self.packagers = Packagers(
            self.env, TIMES, count, self.lock, lambda: self.decided.append(self.env.now),
            lambda: False, random.Random(1),
        )  # fmt: skip

    def note(self, name: str, makes_room: bool = True) -> Callable[[], bool]:
        def store() -> bool:
            self.stored[name] = self.env.now
            return makes_room

        return store

    def call_s(self, segments: int) -> float:
        return TIMES.packaging_s(segments) + TIMES.hops_s


def test_decisions_follow_each_other() -> None:
    office = Office()
    for _ in range(3):
        office.env.process(office.lock.decide(lambda: office.decided.append(office.env.now)))
    office.env.run(until=10)
    assert office.decided == [HOLD_S, 2 * HOLD_S, 3 * HOLD_S]


def test_busiest_hour_tells_for_how_long_the_lock_was_held() -> None:
    office = Office()
    for at_s in (0.0, 3700.0, 3800.0):
        office.env.timeout(at_s).callbacks.append(lambda _: office.packagers.demand())
    office.env.run(until=8000)
    assert office.lock.busiest_hour == pytest.approx(2 * HOLD_S / 3600)


def test_what_waits_is_packaged_together_up_to_a_batch() -> None:
    office = Office()
    for name in "abcdefghij":
        office.packagers.package(2, office.note(name), urgent=False)
    office.env.run(until=10)
    first_s = office.call_s(BATCH)
    assert [office.stored[name] for name in "abcdefgh"] == [pytest.approx(first_s)] * 8
    assert office.stored["i"] == pytest.approx(first_s + HOLD_S + LINGER_S + office.call_s(4))
    assert len(office.decided) == 2


def test_full_call_waits_no_longer() -> None:
    office = Office()
    office.packagers.package(1, office.note("first"), urgent=False)
    office.env.run(until=LINGER_S / 2)
    office.packagers.package(BATCH - 1, office.note("rest"), urgent=False)
    office.env.run(until=10)
    stored_s = pytest.approx(LINGER_S / 2 + office.call_s(BATCH))
    assert [office.stored["first"], office.stored["rest"]] == [stored_s, stored_s]


def test_urgent_call_takes_no_more_than_a_replica_has_in_hand() -> None:
    office = Office()
    for number in range(URGENT + 1):
        office.packagers.package(1, office.note(str(number), makes_room=False), urgent=True)
    office.env.run(until=10)
    first_s = office.call_s(URGENT)
    assert office.stored[str(URGENT - 1)] == pytest.approx(first_s)
    assert office.stored[str(URGENT)] == pytest.approx(first_s + office.call_s(1))


def test_largest_fleet_s_replicas_may_have_in_hand_what_the_model_has_in_one_inbox() -> None:
    places = AT_ONCE[Lane.LADDER]
    assert places >= 2 * BATCH  # one batch gathers while another is packaged
    limit = made_consumer(Lane.LADDER, batch=places).config().max_ack_pending
    assert limit is not None
    assert limit >= replicas(1000) * places


def test_part_that_does_not_fit_is_stored_with_the_next_batch() -> None:
    office = Office()
    for name in "ab":
        office.packagers.package(10, office.note(name), urgent=False)
    office.env.run(until=10)
    first_s = office.call_s(BATCH)
    assert office.stored["a"] == pytest.approx(first_s)
    assert office.stored["b"] == pytest.approx(first_s + HOLD_S + LINGER_S + office.call_s(4))


def test_nothing_is_decided_when_what_was_stored_makes_no_room() -> None:
    office = Office()
    office.packagers.package(URGENT, office.note("middle", makes_room=False), urgent=True)
    office.packagers.package(1, office.note("end"), urgent=True)
    office.env.run(until=10)
    assert office.stored["end"] == pytest.approx(office.call_s(URGENT) + office.call_s(1))
    assert len(office.decided) == 1


def test_viewers_segments_do_not_wait_for_the_ladders() -> None:
    office = Office()
    office.packagers.package(1, office.note("ladder"), urgent=False)
    office.packagers.package(1, office.note("opening"), urgent=True)
    office.env.run(until=10)
    assert office.stored["opening"] == pytest.approx(office.call_s(1))
    assert office.stored["ladder"] == pytest.approx(LINGER_S + office.call_s(1))


def test_every_replica_decides_when_somebody_waits() -> None:
    office = Office(3)
    office.env.run(until=1)
    office.packagers.demand()
    office.packagers.demand()
    office.env.run(until=10)
    assert office.decided == [1 + HOLD_S, 1 + 2 * HOLD_S, 1 + 3 * HOLD_S]


def test_packagers_grow_with_the_encoders() -> None:
    assert [replicas(n) for n in (1, 100, 101, 1000)] == [1, 1, 2, 10]


def test_decisions_take_longer_the_more_packages_there_are() -> None:
    assert TIMES.dispatch_s(0) == TIMES.dispatch_base_s
    assert TIMES.dispatch_s(100) == pytest.approx(0.02)
