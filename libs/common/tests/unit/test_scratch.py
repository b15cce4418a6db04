"""Folders of processes that were killed are swept, those of the living are not."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from reelay.common.scratch import FRESH_S, scratch, sweep_scratch

KEEP = """
import os
from reelay.common.scratch import scratch

with scratch("test") as folder:
    (folder / "film").write_bytes(b"x")
    os.utime(folder, (0, 0))
    print(folder, flush=True)
    input()
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files lie."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_folder_is_gone_after_its_block(place: Path) -> None:
    with scratch("test") as folder:
        (folder / "film").write_bytes(b"x")
        assert list(place.iterdir()) == [folder]
    assert list(place.iterdir()) == []


def test_folder_is_swept_once_its_process_was_killed(place: Path) -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", KEEP], stdin=pipe, stdout=pipe) as maker:
        assert maker.stdout is not None
        folder = Path(maker.stdout.readline().decode().strip())
        assert sweep_scratch() == 0
        assert (folder / "film").exists()
        maker.kill()
    assert sweep_scratch() == 1
    assert list(place.iterdir()) == []


def test_folder_that_is_just_being_made_and_those_of_others_stay(place: Path) -> None:
    fresh = place / "reelay-scratch-test-x"
    other = place / "something-else"
    fresh.mkdir()
    other.mkdir()
    os.utime(other, (0, 0))
    assert sweep_scratch() == 0
    os.utime(fresh, (fresh.stat().st_mtime - 2 * FRESH_S,) * 2)
    assert sweep_scratch() == 1
    assert list(place.iterdir()) == [other]
