"""A system that others share: where NATS listens, and which store the objects are in."""

import json
import signal
import socket
import stat
from pathlib import Path
from typing import Any

import nats
import pytest

from reelay.common.testing.s3 import start_seaweedfs
from reelay.common.testing.servers import free_port
from reelay.standalone import instance, joining
from reelay.standalone.settings import Settings

pytestmark = pytest.mark.integration

ELSEWHERE = "127.0.0.2"
"""An address that is not the one everything else listens on, and that Linux always has."""
NOBODYS = "192.0.2.1"
"""RFC 5737: of no machine."""


def sentence(up: Any) -> str:
    """Start; return the one line with which it refused."""
    up.start()
    assert up.wait() == 1, up.output()
    lines = up.output().splitlines()
    assert len(lines) == 1, lines
    return str(lines[0])


def variables(up: Any) -> dict[str, str]:
    """Return what an encoder of a running instance is told."""
    running = instance.running(up.data)
    assert running is not None
    return joining.environment(Settings(data=up.data), running)


def answer_to(port: int, login: dict[str, str]) -> bytes:
    """Return all that NATS says to who logs in so (NATS client protocol: CONNECT)."""
    with socket.create_connection((ELSEWHERE, port), timeout=10) as client:
        client.sendall(f"CONNECT {json.dumps(login)}\r\nPING\r\n".encode())
        said = b""
        while block := client.recv(4096):
            said += block
        return said


async def test_nats_listens_where_it_is_told_and_lets_in_who_has_the_password(up: Any) -> None:
    port = free_port()
    up.environment = {"REELAY_NATS_LISTEN": f"{ELSEWHERE}:{port}"}
    up.start_ready()
    assert up.all_ready()
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
        pass
    url = variables(up)["ENCODER_NATS_URL"]
    assert url.endswith(f"@{ELSEWHERE}:{port}")
    client = await nats.connect(url, allow_reconnect=False)
    assert (await client.jetstream().account_info()).streams == 0
    await client.close()
    for guess in ({}, {"user": "encoder", "pass": "guess"}, {"user": "reelay", "pass": ""}):
        assert b"Authorization Violation" in answer_to(port, guess)


def test_passwords_are_in_no_log_and_for_nobody_else_to_read(up: Any) -> None:
    up.environment = {"REELAY_NATS_LISTEN": f"{ELSEWHERE}:{free_port()}"}
    up.start_ready()
    up.eventually_says("encoder-environment")
    own, encoders = (up.data / name for name in ("internal-secret", "encoder-secret"))
    told = variables(up)
    assert encoders.read_text() in told["ENCODER_NATS_URL"]
    assert own.read_text() not in str(told)
    logs = up.output() + "".join(log.read_text() for log in (up.data / "log").iterdir())
    for secret in (own, encoders):
        assert secret.read_text() not in logs
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert stat.S_IMODE((up.data / "run" / "store-url").stat().st_mode) == 0o600


def test_an_address_in_use_is_one_sentence(up: Any) -> None:
    with socket.socket() as other:
        other.bind((ELSEWHERE, 0))
        other.listen()
        where = f"{ELSEWHERE}:{other.getsockname()[1]}"
        up.environment = {"REELAY_NATS_LISTEN": where}
        assert sentence(up) == (
            f"reelay up: {where} is in use by another program; choose another port in "
            "REELAY_NATS_LISTEN."
        )


def test_an_address_of_another_machine_is_one_sentence(up: Any) -> None:
    up.environment = {"REELAY_NATS_LISTEN": f"{NOBODYS}:4222"}
    assert sentence(up) == (
        f"reelay up: This machine has no address {NOBODYS}, which REELAY_NATS_LISTEN names."
    )


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3://key:hidden@host", "REELAY_STORE_URL: s3://… is no object store; it must look like"),
        ("s3://key:not/hidden@host/bucket", "REELAY_STORE_URL: s3://…host/bucket is no object"),
        ("s3://key:hidden@host:port/bucket", "REELAY_STORE_URL: invalid port"),
        ("s3://key:hidden@host/a", "REELAY_STORE_URL: invalid bucket name a"),
        ("s3://key:hidden@[::/bucket", "REELAY_STORE_URL: it is no URL of a store"),
        ("/srv/reelay", "REELAY_STORE_URL: ://…/srv/reelay is no object store"),
        ("file:///srv/hidden/nowhere", "There is no folder /srv/hidden/nowhere, which REELAY_"),
        ("file:///proc", "REELAY_STORE_URL cannot be used: "),
        ("s3://key:hidden@127.0.0.1:1/bucket", "REELAY_STORE_URL cannot be used: "),
    ],
)
def test_a_store_that_cannot_be_used_is_one_sentence(up: Any, url: str, said: str) -> None:
    up.environment = {"REELAY_STORE_URL": url}
    refusal = sentence(up)
    assert refusal.startswith(f"reelay up: {said}")
    assert "hidden" not in refusal.replace("/srv/hidden/nowhere", "")


def test_a_refused_secret_is_one_sentence(up: Any, tmp_path: Path) -> None:
    with start_seaweedfs(tmp_path / "s3") as url:
        up.environment = {"REELAY_STORE_URL": url.replace("reelay-test-secret", "hidden")}
        assert sentence(up).startswith(
            "reelay up: REELAY_STORE_URL cannot be used: The object store says AccessDenied"
        )


def test_a_store_that_was_mistyped_once_can_be_corrected(up: Any, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    up.environment = {"REELAY_STORE_URL": f"file://{tmp_path}/shraed"}
    sentence(up)
    up.environment = {"REELAY_STORE_URL": f"file://{tmp_path}/shared"}
    up.start_ready()
    assert variables(up)["ENCODER_STORE_URL"] == f"file://{tmp_path}/shared"
    assert not up.data.joinpath("store").exists()


def test_objects_are_never_looked_for_in_another_store(up: Any, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    up.start_ready()
    up.send(signal.SIGTERM)
    up.wait()
    (up.data / "store" / "packages").mkdir()  # the services here are fakes, which store nothing
    up.environment = {"REELAY_STORE_URL": f"file://{shared}"}
    assert f"lie in file://{up.data}/store, not in file://{shared}: unset" in again(up)
    (up.data / "store").rename(tmp_path / "moved")
    up.start_ready()
    up.send(signal.SIGTERM)
    up.wait()
    up.environment = {}
    assert f"lie in file://{shared}, not in file://{up.data}/store: set REELAY_STORE" in again(up)


def test_a_folder_that_was_emptied_is_not_taken_for_a_new_store(up: Any, tmp_path: Path) -> None:
    shared, unmounted = tmp_path / "shared", tmp_path / "unmounted"
    shared.mkdir()
    up.environment = {"REELAY_STORE_URL": f"file://{shared}"}
    up.start_ready()
    up.send(signal.SIGTERM)
    up.wait()
    shared.rename(unmounted)
    shared.mkdir()
    assert again(up) == f"reelay up: {shared} is empty and was not before: is its disk mounted?"
    assert not list(shared.iterdir())
    shared.rmdir()
    unmounted.rename(shared)
    up.start_ready()


def again(up: Any) -> str:
    """Start once more; return the last line, with which it refused."""
    up.start()
    assert up.wait() == 1, up.output()
    return str(up.output().splitlines()[-1])
