"""What `reelay encoder-environment` tells an encoder on another machine."""

import os
import shlex
import stat
from pathlib import Path
from typing import Any

import pytest

from reelay.standalone import instance

pytestmark = pytest.mark.integration

STORE = "s3://key:s%2Fcret@s3.example:9000/bucket?tls=1&region=eu"


def write_instance(data: Path, listen: str = "10.0.0.5", store: str = STORE) -> None:
    """Write what `reelay up` does when it starts."""
    (data / "run").mkdir(parents=True)
    (data / "encoder-secret").write_text("word\n")
    (data / "run" / "store-url").write_text(f"{store}\n")
    started = instance.start_time(os.getpid())
    assert started is not None
    running = instance.Instance(
        os.getpid(), started, "http://x", "http://x", {}, {"nats": 4222}, listen
    )
    instance.write(data, running)


def test_lines_are_for_shells_and_systemd(command: Any) -> None:
    write_instance(command.directory / "data")
    command.environment["REELAY_STORE_URL"] = "file:///of/another/shell"
    done = command("encoder-environment")
    assert (done.returncode, done.stderr) == (0, "")
    assert [shlex.split(line) for line in done.stdout.splitlines()] == [
        ["ENCODER_NATS_URL=nats://encoder:word@10.0.0.5:4222"],
        [f"ENCODER_STORE_URL={STORE}"],
    ]


def test_file_is_for_its_owner_alone(command: Any) -> None:
    write_instance(command.directory / "data")
    file = command.directory / "encoder.env"
    file.write_text("older")
    file.chmod(0o644)
    done = command("encoder-environment", "--output", str(file))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text() == command("encoder-environment").stdout


def test_file_that_cannot_be_written_is_said(command: Any) -> None:
    write_instance(command.directory / "data")
    done = command("encoder-environment", "--output", "/nowhere/encoder.env")
    assert done.returncode == 1
    assert done.stderr == "reelay: Cannot write /nowhere/encoder.env: No such file or directory.\n"


@pytest.mark.parametrize(
    ("host", "shown"), [("nats.example", "nats.example"), ("fd00::5", "[fd00::5]")]
)
def test_encoder_may_know_nats_by_another_name(command: Any, host: str, shown: str) -> None:
    write_instance(command.directory / "data", "0.0.0.0")
    refused = command("encoder-environment")
    assert refused.returncode == 1
    assert "by which name" in refused.stderr
    told = command("encoder-environment", "--nats-host", host).stdout
    assert f"@{shown}:4222" in told


@pytest.mark.parametrize("host", ["a b", "user@host", "host:4222", "http://host", "-x", "a..b"])
def test_name_that_is_none_is_refused(command: Any, host: str) -> None:
    write_instance(command.directory / "data")
    done = command("encoder-environment", f"--nats-host={host}")
    assert done.returncode == 2
    assert "neither a host name nor an address" in done.stderr


@pytest.mark.parametrize(
    ("listen", "store", "said"),
    [
        ("127.0.0.1", STORE, "NATS listens on this machine alone: set REELAY_NATS_LISTEN="),
        ("10.0.0.5", "file:///srv/my%20films", "find the folder /srv/my films at the same place"),
        ("10.0.0.5", "s3://k:s@127.0.0.1:1/b", "127.0.0.1, means another machine elsewhere"),
    ],
)
def test_what_only_this_machine_reaches_is_noted(
    command: Any, listen: str, store: str, said: str
) -> None:
    write_instance(command.directory / "data", listen, store)
    done = command("encoder-environment")
    assert done.returncode == 0
    assert said in done.stderr
    assert done.stderr.count("note: ") == 1
    assert "note" not in done.stdout


def test_without_an_instance_nothing_is_told(command: Any) -> None:
    done = command("encoder-environment")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("reelay: No Reelay runs in ")


@pytest.mark.parametrize("where", ["10.0.0.5", "localhost:4222", "10.0.0.5:0"])
def test_up_refuses_an_address_of_nats_that_is_none(command: Any, where: str) -> None:
    command.environment["REELAY_NATS_LISTEN"] = where
    done = command("up")
    assert done.returncode == 1
    assert done.stderr.startswith("reelay: REELAY_NATS_LISTEN must be an IP address of this ")
    assert not (command.directory / "data").exists()


def test_doctor_looks_at_the_address_of_nats(command: Any) -> None:
    command.environment["REELAY_NATS_LISTEN"] = "192.0.2.1:4222"
    done = command("doctor")
    assert done.returncode == 1
    assert "MISSING NATS at 192.0.2.1:4222: cannot be used on 192.0.2.1" in done.stdout
