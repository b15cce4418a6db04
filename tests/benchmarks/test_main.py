"""A benchmark that cannot be made ends alone, and its report says when and where rows were made."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from benchmarks import __main__ as benchmarks
from benchmarks.machine import Figure
from benchmarks.runs import Runs

RUN = '{"at": "2026-01-02 03:04 UTC", "machine": "M", "commit": "abc1234", "ratio": 1.5}\n'


def breaks_with(error: Exception) -> Iterator[Figure]:
    raise error
    yield


def good(_: bool) -> Iterator[Figure]:
    yield Figure("a wait", "s", [1.0, 2.0])


def kept(_: bool, runs: Runs) -> Iterator[Figure]:
    yield Figure("a ratio", "", runs.column("ratio"))


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of reports, with three benchmarks."""
    monkeypatch.setattr(benchmarks, "FAST", {"good": good})
    monkeypatch.setattr(benchmarks, "SLOW", {"kept": kept})
    monkeypatch.setattr(benchmarks, "NAMES", ("broken", "good", "kept"))
    for name in ("REPORT", "QUICK", "RUNS"):
        monkeypatch.setattr(benchmarks, name, tmp_path)
    (tmp_path / "kept.jsonl").write_text(RUN)
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    monkeypatch.setattr("sys.argv", ["benchmarks", *arguments])
    with pytest.raises(SystemExit) as end:
        benchmarks.main()
    return end.value.code


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("There is no backlog."),
        TimeoutError("There is no backlog."),
        httpx.ReadTimeout("There is no backlog."),
        subprocess.TimeoutExpired("There is no backlog.", 1),
    ],
    ids=lambda error: type(error).__name__,
)
def test_benchmark_that_cannot_be_made_ends_alone(
    report: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
) -> None:
    broken = {"broken": lambda _: breaks_with(error)}
    monkeypatch.setattr(benchmarks, "FAST", broken | benchmarks.FAST)
    assert run(monkeypatch, "broken", "good") == 1
    said = capsys.readouterr()
    assert "There is no backlog." in said.err
    assert "| a wait |" in said.out
    assert "| a wait |" in (report / "report.md").read_text()
    assert run(monkeypatch, "good") == 0


def test_time_and_commit_of_kept_runs_are_theirs_alone(
    report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(monkeypatch, "kept", "--resume") == 0
    text = (report / "report.md").read_text()
    assert text.count(" UTC") == text.count("2026-01-02 03:04 UTC")


def test_sections_of_other_benchmarks_stay_in_their_order(
    report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(monkeypatch, "kept", "--resume") == 0
    assert run(monkeypatch, "good") == 0
    once = (report / "report.md").read_text()
    assert once.index("## good") < once.index("## kept")
    assert run(monkeypatch, "kept", "--resume") == 0
    assert (report / "report.md").read_text() == once


def test_what_repeats_a_target_runs_only_when_it_is_named(
    report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmarks, "NAMES", ("good", "kept"))
    monkeypatch.setattr(benchmarks, "NAMED", ("good",))
    assert run(monkeypatch, "--resume") == 0
    assert "## good" not in (report / "report.md").read_text()
    assert run(monkeypatch, "good") == 0
    assert "## good" in (report / "report.md").read_text()
