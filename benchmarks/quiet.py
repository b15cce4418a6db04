"""Measures while others leave the processors alone, and refuses where they do not."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.system import System

QUIET_CORES = 0.15
BUSY_CORES = 0.3
"""More than this of the cores with others, and a sample tells little about this machine."""
WAIT_S = 3.0
TRIES = 3
SHORT_S = 3.0
"""What takes longer is not tried again: no moment is quiet for so long on a shared machine."""

Work = Callable[[list[float]], Awaitable[None]]
"""Does what is measured; appends the times of what it notes on its way."""


class BusyMachineError(Exception):
    """Other programs use the processors: what is measured now would be too long."""


@dataclass(frozen=True)
class Sample:
    """One measurement; `foreign_cores` is what others used meanwhile, on the average.

    Nothing is deducted for others: how much they delayed is not known. It is too long by no more
    than their share of the processors.
    """

    name: str
    wall_s: float
    cpu_s: float
    foreign_cores: float
    marks_s: tuple[float, ...]

    def document(self) -> dict[str, str | float]:
        """Return it as JSON."""
        return {
            "what": self.name,
            "wall_s": round(self.wall_s, 3),
            "cpu_s": round(self.cpu_s, 3),
            "foreign_cores": round(self.foreign_cores, 2),
        }


def refuse_if_busy(samples: Sequence[Sample]) -> None:
    """Raise BusyMachineError if others used too much during most of the samples."""
    disturbed = sum(sample.foreign_cores > BUSY_CORES for sample in samples)
    if 2 * disturbed > len(samples):
        raise BusyMachineError(
            f"During {disturbed} of {len(samples)} measurements other programs used more than "
            f"{BUSY_CORES} of the processors. Nothing was written; stop them, or try again later."
        )


async def measured(name: str, work: Work) -> Sample:
    """Measure work, again when others disturb; return the least disturbed try."""
    tries: list[Sample] = []
    while len(tries) < TRIES and not any(each.foreign_cores < QUIET_CORES for each in tries):
        await _quiet()
        tries.append(await _once(name, work))
        if tries[-1].wall_s > SHORT_S:
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
    """Return the CPU time of this process and of all that it started, in seconds."""
    return System(os.getpid(), 0, Path()).cpu_s()


def _busy_s() -> float:
    """Return the time that all processors were busy since boot, in seconds (proc(5))."""
    user, nice, system = Path("/proc/stat").read_text().split()[1:4]
    return (int(user) + int(nice) + int(system)) / os.sysconf("SC_CLK_TCK")
