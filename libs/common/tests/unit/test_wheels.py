import os

import pytest

from reelay.common.wheels import find_in_package, installed_ffmpeg


def test_ffmpeg_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert os.access(installed_ffmpeg(), os.X_OK)


def test_ffmpeg_that_may_not_be_run_leaves_the_one_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert installed_ffmpeg() == "ffmpeg"


def test_package_or_file_that_is_not_installed_is_not_found() -> None:
    assert find_in_package("no_such_package", "*") is None
    assert find_in_package("reelay.common", "no-such-file") is None
