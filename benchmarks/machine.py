"""Describes the machine and keeps figures as distributions."""

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


def describe() -> str:
    """Return one line about processor, cores, memory and kernel."""
    model = next(
        (line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
         if line.startswith("model name")),
        platform.machine(),
    )  # fmt: skip
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, Linux {platform.release()}"


@dataclass(frozen=True)
class Figure:
    """Measurements of one thing, in `unit`; `target` is what should be reached, if anything."""

    name: str
    unit: str
    values: Sequence[float]
    target: str = ""
    holds: bool | None = None

    @property
    def median(self) -> float:
        """The middle value."""
        return statistics.median(self.values)

    def quantile(self, share: float) -> float:
        """Return the value that `share` of all do not exceed."""
        ordered = sorted(self.values)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def row(self) -> str:
        """Return a row of the report's table."""
        verdict = {True: "holds", False: "MISSED", None: ""}[self.holds]
        return (
            f"| {self.name} | {self.unit} | {len(self.values)} | {min(self.values):.3f} | "
            f"{self.median:.3f} | {self.quantile(0.95):.3f} | {max(self.values):.3f} | "
            f"{self.target} | {verdict} |"
        )


HEADER = (
    "| figure | unit | runs | min | p50 | p95 | max | to reach | |\n"
    "|---|---|---|---|---|---|---|---|---|"
)
