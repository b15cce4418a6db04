"""The encoders: one job per lane each, the higher lane first, the lower one waits meanwhile."""

import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import simpy
from simpy.events import ProcessGenerator

from reelay.common.commands import Lane
from reelay.common.streams import Consumer

LANES = tuple(Lane)
"""Most urgent first."""

REDELIVERED_AFTER_S = Consumer.ack_wait_s
RESTART_S = 30.0

Done = Callable[[float], None]
"""Called with the encoder seconds that the phase took."""


@dataclass(slots=True, eq=False)
class Job:
    """Work of one chunk: phases of `seconds`, each with what is to be done at its end."""

    lane: int
    phases: Sequence[tuple[float, Done]]
    began: Callable[[float], None]
    """Called with the time between being queued and being begun, at the first delivery."""
    queued_s: float = 0.0
    phase: int = 0
    left_s: float = 0.0
    deliveries: int = 0


@dataclass(slots=True, eq=False)
class Pod:
    """One encoder."""

    number: int
    jobs: list[Job | None] = field(default_factory=lambda: [None] * len(LANES))
    running: Job | None = None
    since_s: float = 0.0
    turn: int = 0
    """Counts the changes of what runs: an alarm set for another turn is void."""
    up: bool = True


class Fleet:
    """All encoders and the work queue, one line per lane."""

    def __init__(self, env: simpy.Environment, encoders: int) -> None:
        self._env = env
        self.pods = [Pod(number) for number in range(encoders)]
        self.lines: list[deque[Job]] = [deque() for _ in LANES]
        self._free: list[dict[Pod, None]] = [dict.fromkeys(self.pods) for _ in LANES]
        self.busy_s = 0.0
        """Encoder seconds spent, those lost with killed encoders as well."""
        self.killed = 0

    def submit(self, job: Job) -> None:
        """Queue a job; the encoder that has waited longest for this lane takes it."""
        job.queued_s = self._env.now
        self.lines[job.lane].append(job)
        self._deliver(job.lane)

    def is_starved(self, lane: int) -> bool:
        """Tell whether work of a lane waits although an encoder is free for it."""
        return bool(self.lines[lane] and self._free[lane])

    def _deliver(self, lane: int) -> None:
        line, free = self.lines[lane], self._free[lane]
        while line and free:
            pod = next(iter(free))
            del free[pod]
            self._begin(pod, line.popleft())

    def _begin(self, pod: Pod, job: Job) -> None:
        if not job.deliveries:
            job.began(self._env.now - job.queued_s)
        job.deliveries += 1
        job.phase, job.left_s = 0, job.phases[0][0]
        pod.jobs[job.lane] = job
        self._switch(pod)

    def _switch(self, pod: Pod) -> None:
        """Run the most urgent job; the one that ran keeps what it has done."""
        top = next((job for job in pod.jobs if job is not None), None)
        if top is pod.running:
            return
        self._stop(pod)
        if top is not None:
            self._run(pod, top)

    def _stop(self, pod: Pod) -> None:
        if pod.running is not None:
            ran_s = self._env.now - pod.since_s
            pod.running.left_s -= ran_s
            self.busy_s += ran_s
            pod.running = None
        pod.turn += 1

    def _run(self, pod: Pod, job: Job) -> None:
        pod.running, pod.since_s = job, self._env.now
        alarm = self._env.timeout(max(0.0, job.left_s))
        alarm.callbacks.append(partial(self._alarm, pod, pod.turn))

    def _alarm(self, pod: Pod, turn: int, _: simpy.Event) -> None:
        job = pod.running
        if turn != pod.turn or job is None:
            return
        self._stop(pod)
        done = job.phases[job.phase][1]
        job.phase += 1
        if job.phase < len(job.phases):
            job.left_s = job.phases[job.phase][0]
        else:
            pod.jobs[job.lane] = None
            self._take_next(pod, job.lane)
        self._switch(pod)
        done(job.phases[job.phase - 1][0])

    def _take_next(self, pod: Pod, lane: int) -> None:
        if self.lines[lane]:
            self._begin(pod, self.lines[lane].popleft())
        else:
            self._free[lane][pod] = None

    def kill(self, pod: Pod) -> None:
        """Kill an encoder: its chunks are delivered again, from their start; it comes back."""
        self._stop(pod)
        self.killed += 1
        pod.up = False
        lost = [job for job in pod.jobs if job is not None]
        pod.jobs = [None] * len(LANES)
        for free in self._free:
            free.pop(pod, None)
        self._later(REDELIVERED_AFTER_S, lambda: self._redeliver(lost))
        self._later(RESTART_S, lambda: self._restart(pod))

    def _redeliver(self, lost: list[Job]) -> None:
        for job in lost:
            self.lines[job.lane].appendleft(job)
            self._deliver(job.lane)

    def _restart(self, pod: Pod) -> None:
        pod.up = True
        for lane in range(len(LANES)):
            self._take_next(pod, lane)

    def _later(self, delay_s: float, do: Callable[[], None]) -> None:
        self._env.timeout(delay_s).callbacks.append(lambda _: do())

    def failures(self, mean_between_s: float, chance: random.Random) -> ProcessGenerator:
        """Kill encoders at random for ever; each lives `mean_between_s` on the average."""
        while True:
            yield self._env.timeout(chance.expovariate(len(self.pods) / mean_between_s))
            pod = chance.choice(self.pods)
            if pod.up:
                self.kill(pod)
