"""What an operator reads when the encoder's settings do not work."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from reelay.common.testing.servers import Program, free_port

pytestmark = pytest.mark.integration


@pytest.fixture
def guarded_nats(tmp_path: Path) -> Iterator[Program]:
    """A NATS server that asks for a password."""
    binary, port = Path(sys.executable).parent / "nats-server", free_port()
    argv = [str(binary), "-a", "127.0.0.1", "-p", str(port), "--user", "reelay", "--pass", "right"]
    program = Program(argv, port, f"nats://reelay:wrong@127.0.0.1:{port}", tmp_path / "nats.log")
    program.start()
    yield program
    program.stop(signal.SIGKILL)


def start(**environment: str) -> subprocess.CompletedProcess[str]:
    """Run the encoder to its end."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("ENCODER_")}
    argv = [sys.executable, "-m", "reelay.encoder"]
    return subprocess.run(
        argv, env=clean | environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_settings_that_are_missing_or_wrong_are_named_without_their_values() -> None:
    ended = start(ENCODER_PORT="eight", ENCODER_THREADS="-1")
    assert ended.returncode == 1
    first, *lines = ended.stderr.splitlines()
    assert first == "encoder cannot start:"
    assert [line.split()[0] for line in lines] == [
        "ENCODER_PORT:",
        "ENCODER_STORE_URL:",
        "ENCODER_THREADS:",
    ]
    assert "eight" not in ended.stderr


@pytest.mark.parametrize(
    "setting", [("ENCODER_STORE_URL", "ftp://u:geheim@x/y"), ("ENCODER_LOG_LEVEL", "geheim")]
)
def test_setting_that_names_nothing_is_refused_without_its_secret(setting: tuple[str, str]) -> None:
    name, value = setting
    ended = start(**{"ENCODER_STORE_URL": "file:///nowhere", name: value})
    said = ended.stdout + ended.stderr
    assert ended.returncode == 1
    assert "cannot start" in said
    assert "Traceback" not in said
    assert "geheim" not in said


def test_wrong_password_of_the_broker_ends_the_encoder_with_one_sentence(
    guarded_nats: Program, tmp_path: Path
) -> None:
    ended = start(ENCODER_NATS_URL=guarded_nats.url, ENCODER_STORE_URL=f"file://{tmp_path}")
    assert ended.returncode == 1
    said = ended.stdout + ended.stderr
    assert "Authorization Violation" in said
    assert "user and password" in said
    assert "Traceback" not in said
    assert "wrong" not in said
