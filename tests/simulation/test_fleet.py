"""Encoders: one job per lane, the higher first; nothing is lost with a killed one."""

import simpy

from benchmarks.simulation.fleet import LANES, REDELIVERED_AFTER_S, RESTART_S, Fleet, Job
from reelay.common.commands import Lane


class Diary:
    """Queues jobs, and notes when they began and ended."""

    def __init__(self, encoders: int) -> None:
        self.env = simpy.Environment()
        self.fleet = Fleet(self.env, encoders)
        self.waited: dict[str, float] = {}
        self.ended: dict[str, float] = {}

    def submit(self, name: str, lane: Lane, *work_s: float) -> None:
        phases = [(seconds, lambda ran_s: self.ended.update({name: self.env.now}))
                  for seconds in work_s]  # fmt: skip
        began = lambda waited_s: self.waited.update({name: waited_s})  # noqa: E731
        self.fleet.submit(Job(LANES.index(lane), phases, began))

    def later(self, at: float, name: str, lane: Lane, work_s: float) -> None:
        self.env.timeout(at).callbacks.append(lambda _: self.submit(name, lane, work_s))


def test_lane_is_served_in_the_order_of_arrival() -> None:
    diary = Diary(1)
    for name in "abc":
        diary.submit(name, Lane.LADDER, 10.0)
    diary.env.run()
    assert diary.ended == {"a": 10, "b": 20, "c": 30}
    assert diary.waited == {"a": 0, "b": 10, "c": 20}


def test_higher_lane_delays_the_lower_by_exactly_its_own_work() -> None:
    diary = Diary(1)
    diary.submit("ladder", Lane.LADDER, 30.0)
    diary.later(10, "opening", Lane.OPENING, 2.0)
    diary.later(11, "ondemand", Lane.ONDEMAND, 3.0)
    diary.env.run()
    assert diary.ended == {"ondemand": 14, "opening": 15, "ladder": 35}


def test_encoder_never_waits_for_a_lower_lane() -> None:
    diary = Diary(1)
    diary.submit("ladder", Lane.LADDER, 1000.0)
    diary.later(500, "opening", Lane.OPENING, 2.0)
    diary.env.run()
    assert diary.waited["opening"] == 0
    assert diary.ended["opening"] == 502


def test_phases_end_one_after_the_other() -> None:
    diary = Diary(1)
    diary.submit("opening", Lane.OPENING, 1.0, 2.0, 3.0)
    diary.env.run(until=1.5)
    assert diary.ended["opening"] == 1.0
    diary.env.run()
    assert diary.ended["opening"] == 6.0


def test_killed_encoders_chunk_comes_back_after_five_seconds_from_its_start() -> None:
    diary = Diary(2)
    diary.submit("chunk", Lane.LADDER, 10.0)
    diary.env.run(until=4)
    diary.fleet.kill(next(pod for pod in diary.fleet.pods if pod.running))
    diary.env.run()
    assert diary.ended["chunk"] == 4 + REDELIVERED_AFTER_S + 10
    assert diary.fleet.busy_s == 14


def test_only_encoder_takes_its_lost_chunk_when_it_is_back() -> None:
    diary = Diary(1)
    diary.submit("chunk", Lane.LADDER, 10.0)
    diary.submit("next", Lane.LADDER, 10.0)
    diary.env.run(until=4)
    diary.fleet.kill(diary.fleet.pods[0])
    diary.env.run()
    assert diary.ended == {"chunk": 4 + RESTART_S + 10, "next": 4 + RESTART_S + 20}


def test_paused_job_is_lost_with_its_encoder_as_well() -> None:
    diary = Diary(2)
    diary.submit("first", Lane.LADDER, 100.0)
    diary.submit("second", Lane.LADDER, 100.0)
    diary.later(1, "opening", Lane.OPENING, 10.0)
    diary.env.run(until=5)
    busy = next(pod for pod in diary.fleet.pods if sum(job is not None for job in pod.jobs) == 2)
    diary.fleet.kill(busy)
    diary.env.run()
    assert set(diary.ended) == {"first", "second", "opening"}
