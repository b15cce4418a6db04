"""Where the command line gets server and token from."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from reelay.cli.environment import (
    check_server,
    default_server,
    find_token,
    is_this_machine,
    state_directory,
)
from reelay.cli.errors import TokenMissingError
from reelay.standalone import instance

LOCAL = "http://127.0.0.1:8080"


@pytest.fixture(autouse=True)
def _data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REELAY_DATA", str(tmp_path))
    (tmp_path / "admin-token").write_text("secret\n")


def test_administrators_token_is_used_on_this_machine() -> None:
    assert find_token(LOCAL, None) == "secret"


def test_administrators_token_never_leaves_this_machine() -> None:
    with pytest.raises(TokenMissingError, match=r"video\.example"):
        find_token("https://video.example", None)


def test_given_token_goes_anywhere() -> None:
    assert find_token("https://video.example", " given ") == "given"


def test_missing_token_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "admin-token").unlink()
    with pytest.raises(TokenMissingError, match="REELAY_DATA"):
        find_token(LOCAL, None)


@pytest.mark.parametrize("url", ["", "host:80", "ftp://x", "http://", "http://a?b", "http://a:b@c"])
def test_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        check_server(url)


def test_trailing_slash_is_dropped() -> None:
    assert check_server("https://a.example/reelay/") == "https://a.example/reelay"


def test_default_server_follows_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REELAY_PORT", "9000")
    assert default_server() == "http://127.0.0.1:9000"


def test_default_server_is_the_instance_that_runs_in_the_data_directory(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    started = instance.start_time(os.getpid())
    assert started is not None
    running = instance.Instance(os.getpid(), started, "http://127.0.0.1:8191", "http://x", {})
    instance.write(tmp_path, running)
    assert default_server() == "http://127.0.0.1:8191"
    instance.write(tmp_path, replace(running, started=started - 1))  # another process by now
    assert default_server() == "http://127.0.0.1:8080"


def test_only_loopback_is_this_machine() -> None:
    own = ["http://127.0.0.9", "http://localhost:1", "http://[::1]:8", "http://a.localhost"]
    others = ["http://10.0.0.1", "http://localhost.example", "http://127.0.0.1.example"]
    assert all(map(is_this_machine, own))
    assert not any(map(is_this_machine, others))


def test_relative_state_home_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert state_directory() == Path.home() / ".local/state/reelay"
