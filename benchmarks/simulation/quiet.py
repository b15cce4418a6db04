"""Measures while others leave the processors alone, and says how much they did not."""

import asyncio
import os
import resource
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

QUIET_CORES = 0.15
WAIT_S = 3.0
TRIES = 3
SHORT_S = 3.0
"""What takes longer is not tried again: no moment is quiet for so long on a shared machine."""

Work = Callable[[list[float]], Awaitable[None]]
"""Does what is measured; appends the times of what it notes on its way."""


@dataclass(frozen=True)
class Sample:
    """One measurement; `foreign_cores` is what others used meanwhile, on the average."""

    name: str
    wall_s: float
    cpu_s: float
    foreign_cores: float
    marks_s: tuple[float, ...]

    @property
    def alone_s(self) -> float:
        """How long it would have taken had nobody disturbed: without the processors' time that
        others had, but no less than its own work takes on all of them.
        """
        if self.foreign_cores < QUIET_CORES:
            return self.wall_s
        cores = os.cpu_count() or 1
        return max(self.cpu_s / cores, self.wall_s * (1 - self.foreign_cores / cores))

    def document(self) -> dict[str, str | float]:
        """Return it as JSON."""
        return {
            "what": self.name,
            "alone_s": round(self.alone_s, 3),
            "wall_s": round(self.wall_s, 3),
            "cpu_s": round(self.cpu_s, 3),
            "foreign_cores": round(self.foreign_cores, 2),
        }


async def measured(name: str, work: Work) -> Sample:
    """Measure work, again when others disturb; return the least disturbed try."""
    tries: list[Sample] = []
    while len(tries) < TRIES and not any(each.foreign_cores < QUIET_CORES for each in tries):
        await _quiet()
        tries.append(await _once(name, work))
        if tries[-1].alone_s > SHORT_S:
            break
    return min(tries, key=lambda each: each.foreign_cores)


async def _once(name: str, work: Work) -> Sample:
    busy_s, own_s, began = _busy_s(), _own_s(), time.monotonic()
    marks: list[float] = []
    await work(marks)
    wall_s = time.monotonic() - began
    cpu_s = _own_s() - own_s
    foreign = max(0.0, _busy_s() - busy_s - cpu_s) / wall_s
    return Sample(name, wall_s, cpu_s, foreign, tuple(mark - began for mark in marks))


async def _quiet() -> None:
    """Wait until others leave the processors alone, but not for ever."""
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        before = _busy_s()
        await asyncio.sleep(0.5)
        if _busy_s() - before < QUIET_CORES / 2:
            return


def _own_s() -> float:
    """Return the CPU time of this process and of its children that ended, in seconds."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _busy_s() -> float:
    """Return the time that all processors were busy since boot, in seconds (proc(5))."""
    user, nice, system = Path("/proc/stat").read_text().split()[1:4]
    return (int(user) + int(nice) + int(system)) / os.sysconf("SC_CLK_TCK")
