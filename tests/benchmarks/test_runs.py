import json
from pathlib import Path

import pytest

from benchmarks.runs import Runs


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "pair.jsonl"


def test_each_run_is_kept_before_the_next_one_begins(path: Path) -> None:
    runs = Runs(path, 2, resume=True)
    runs.add(ours=3.0, theirs=2.0)

    assert [json.loads(line)["ours"] for line in path.read_text().splitlines()] == [3.0]
    assert (runs.made, runs.missing) == (1, 1)


def test_only_missing_runs_are_left_when_gone_on_with(path: Path) -> None:
    first = Runs(path, 3)
    first.add(ours=3.0, theirs=2.0)
    first.add(ours=5.0, theirs=2.0)

    resumed = Runs(path, 3, resume=True)
    assert resumed.missing == 1
    resumed.add(ours=4.0, theirs=2.0)

    assert resumed.missing == 0
    assert resumed.ratios("ours", "theirs") == [1.5, 2.5, 2.0]
    assert resumed.column("theirs") == [2.0, 2.0, 2.0]


def test_more_runs_than_wanted_leave_none_missing(path: Path) -> None:
    for _ in range(2):
        Runs(path, 2, resume=True).add(ours=1.0)

    assert Runs(path, 1, resume=True).missing == 0


def test_begun_anew_earlier_runs_stay_until_there_are_as_many(path: Path) -> None:
    Runs(path, 1, resume=True).add(ours=3.0)
    anew = Runs(path, 2)
    anew.add(ours=4.0)

    assert "3.0" in path.read_text()
    anew.add(ours=5.0)
    assert Runs(path, 2, resume=True).column("ours") == [4.0, 5.0]


def test_runs_begun_anew_are_gone_on_with(path: Path) -> None:
    Runs(path, 1, resume=True).add(ours=3.0)
    Runs(path, 2).add(ours=4.0)
    Runs(path, 2, resume=True).add(ours=5.0)

    assert Runs(path, 2, resume=True).column("ours") == [4.0, 5.0]


def test_begun_anew_twice_the_first_go_is_forgotten(path: Path) -> None:
    Runs(path, 2).add(ours=3.0)

    assert Runs(path, 2).made == 0


def test_it_says_how_many_runs_are_of_which_commit_and_machine(path: Path) -> None:
    path.parent.mkdir()
    run = {"machine": "big", "ours": 1.0}
    lines = [
        run | {"at": "1", "commit": "aaa"},
        run | {"at": "2", "commit": "aaa"},
        run | {"at": "3", "commit": "bbb"},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))

    described = Runs(path, 3, resume=True).describe()

    assert described == "- 2 of aaa, 1 to 2, big\n- 1 of bbb, 3 to 3, big\n"
