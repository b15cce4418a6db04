"""Keeps runs that take long, so that a distribution can be gathered in several goes.

`benchmarks/runs/NAME.jsonl` has a line for each run: what it measured, when, on what machine, and
the last commit that changed what was measured, or how. A run and its comparison partner are one
line.
"""

import json
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.machine import describe

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "benchmarks" / "runs"
MEASURED = (
    ":(glob)libs/*/src/**",
    ":(glob)services/*/src/**",
    "requirements.lock",
    ":(glob)benchmarks/*.py",
)
"""What a system consists of, and what measures it; other changes leave its figures as they are."""


class Runs:
    """The runs of one benchmark; begun anew, or gone on with where an earlier go ended.

    Those begun anew are kept beside the earlier ones until there are as many as wanted.
    """

    def __init__(self, path: Path, wanted: int, *, resume: bool = False) -> None:
        self._path = path
        self._anew = path.with_suffix(".new.jsonl")
        self._wanted = wanted
        self._commit = measured_commit()
        self._kept: list[dict[str, Any]] = []
        self._file = self._anew if self._anew.exists() or not resume else path
        if resume and self._file.exists():
            self._kept = [json.loads(line) for line in self._file.read_text().splitlines()]
        else:
            self._file.unlink(missing_ok=True)

    @property
    def made(self) -> int:
        """How many runs there are."""
        return len(self._kept)

    @property
    def missing(self) -> int:
        """How many runs are still to be made."""
        return max(0, self._wanted - self.made)

    def add(self, **measured: float) -> None:
        """Keep one run, before the next one begins."""
        run = {"at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", "machine": describe(),
               "commit": self._commit}  # fmt: skip
        self._kept.append(run | {name: round(value, 4) for name, value in measured.items()})
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a") as file:
            file.write(json.dumps(self._kept[-1]) + "\n")
        if self._file == self._anew and not self.missing:
            self._file = self._anew.replace(self._path)

    def column(self, name: str) -> Sequence[float]:
        """Return what all runs measured under `name`."""
        return [run[name] for run in self._kept]

    def ratios(self, name: str, partner: str) -> Sequence[float]:
        """Return `name` ÷ `partner`, run by run."""
        return [run[name] / run[partner] for run in self._kept]

    def describe(self) -> str:
        """Return lines that say which runs were made when, where and of which commit."""
        counts: dict[tuple[str, str], list[str]] = {}
        for run in self._kept:
            counts.setdefault((run["commit"], run["machine"]), []).append(run["at"])
        return "".join(
            f"- {len(times)} of {commit}, {times[0]} to {times[-1]}, {machine}\n"
            for (commit, machine), times in counts.items()
        )


def measured_commit() -> str:
    """Return the last commit that changed what is measured; with `+` if that was edited since."""
    changed = _git("log", "-1", "--format=%h", "--", *MEASURED)
    return changed + ("+" if _git("status", "--porcelain", "--", *MEASURED) else "")


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True
    )  # fmt: skip
    return done.stdout.strip()
