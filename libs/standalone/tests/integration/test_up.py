"""Starting, stopping and recovering the whole system."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reelay.standalone import instance, leftovers
from reelay.standalone.services import SERVICES

pytestmark = pytest.mark.integration

CHILDREN = [service.name for service in SERVICES] + ["nats", "postgres", "caddy"]
ROOT = Path(__file__).parents[4]
WITHOUT_USER_NAMESPACES = ("setpriv", "--bounding-set=-setfcap", "--")
"""Runs a program as a root that Linux, since 5.12, lets make no user namespace that root is in."""
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--")


@pytest.fixture
def open_checkout() -> None:
    """Skip where the checkout lies in a folder that only root may enter."""
    if subprocess.run([*NOBODY, "test", "-r", __file__], check=False).returncode:
        pytest.skip("an ordinary user may not read this checkout")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_signal_leaves_no_process_no_port_and_no_lock(up: Any, number: Any) -> None:
    up.start_ready()
    assert up.all_ready()
    up.send(number)
    assert up.wait() == 0
    assert up.left_nothing()
    assert instance.running(up.data) is None
    with instance.claim(up.data):
        pass
    assert "did not stop" not in up.output()


def test_children_are_stopped_in_order(up: Any) -> None:
    up.arguments = ["json"]
    up.start_ready()
    up.send(signal.SIGINT)
    up.wait()
    events = [json.loads(line) for line in up.output().splitlines()]
    ends = {"caddy": "shutdown complete", "nats": "Server Exiting..", "postgres": "shutting down"}
    where = [
        next(n for n, e in enumerate(events) if e["service"] == name and e["event"] == text)
        for name, text in ends.items()
    ]
    assert where == sorted(where)


def test_a_stop_while_starting_leaves_nothing(up: Any) -> None:
    up.start()
    up.eventually_says("starting in")
    up.send(signal.SIGINT)
    assert up.wait() == 0
    assert up.left_nothing()
    up.start_ready()


def test_children_die_with_a_killed_supervisor(up: Any, eventually: Any) -> None:
    up.start_ready()
    up.send(signal.SIGKILL)
    up.wait()
    eventually(up.left_nothing, "children end by themselves")
    up.start_ready()
    assert up.all_ready()


def test_a_start_recovers_when_everything_was_killed(up: Any) -> None:
    up.start_ready()
    ports = up.ports()
    leftovers.kill({up.process.pid} | up.processes())
    up.wait()
    up.start_ready()
    assert up.all_ready()
    assert up.ports() == ports


def test_a_start_ends_leftovers_that_ignore_the_death_of_their_supervisor(up: Any) -> None:
    up.start_ready()
    stuck = up.main_process("nats")
    os.kill(stuck, signal.SIGSTOP)
    up.send(signal.SIGKILL)
    up.wait()
    up.start_ready()
    assert stuck not in up.processes()
    assert "of an instance that was killed" in up.output()


@pytest.mark.parametrize("name", CHILDREN)
def test_a_killed_child_is_reported_and_started_again(up: Any, eventually: Any, name: str) -> None:
    up.start_ready()
    killed = up.main_process(name)
    os.kill(killed, signal.SIGKILL)
    up.eventually_says(f"{name} was ended by SIGKILL; restarting it in 0.5 s")
    up.eventually_says(f"{name} is ready again")
    eventually(up.all_ready, "everything is ready again")
    assert up.main_process(name) != killed


def test_what_a_killed_child_had_started_ends_too(up: Any, eventually: Any) -> None:
    up.start_ready()
    grandchild = int(up.get("/api/v1/spawn")[2])
    assert grandchild in up.processes("catalog")
    os.kill(up.main_process("catalog"), signal.SIGKILL)
    eventually(lambda: grandchild not in up.processes(), "the grandchild ends")


def test_a_second_ctrl_c_does_not_wait_for_a_stubborn_service(up: Any) -> None:
    up.environment = {"ENCODER_STUBBORN": "1"}
    up.start_ready()
    up.send(signal.SIGINT)
    up.eventually_says("stopping")
    began = time.monotonic()
    up.send(signal.SIGINT)
    assert up.wait() == 0
    assert time.monotonic() - began < 12  # of the 15 that a service gets
    assert up.left_nothing()


def test_two_instances_run_side_by_side(make_up: Callable[..., Any]) -> None:
    one, two = make_up("one").start(), make_up("two").start()
    for up in (one, two):
        up.eventually_says("Reelay is ready at")
    assert not set(one.ports()) & set(two.ports())
    one.send(signal.SIGINT)
    one.wait()
    assert two.all_ready()
    assert json.loads(two.get("/api/v1/environment")[2])["CATALOG_PUBLIC_URL"] == two.url


def test_a_taken_port_is_one_sentence(up: Any) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", up.port))
        other.listen()
        up.start()
        assert up.wait() == 1
    assert up.output().startswith(f"reelay up: Port {up.port} is in use by another program")
    assert up.output().count("\n") == 1


def test_a_second_start_on_the_same_data_is_one_sentence(up: Any) -> None:
    up.start_ready()
    again = subprocess.run(
        up.process.args,
        env=os.environ | {"REELAY_DATA": str(up.data), "REELAY_PORT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 1
    assert again.stderr == (
        f"reelay up: Reelay already runs in {up.data} at {up.url} (process {up.process.pid});"
        " stop it, or choose another REELAY_DATA.\n"
    )
    assert up.all_ready()


def test_a_child_that_never_starts_ends_all_with_a_sentence(up: Any) -> None:
    up.environment = {"ENCODER_CRASH": "1"}
    up.start()
    assert up.wait() == 1
    assert "encoder     │ warning: cannot go on" in up.output()
    sentence = up.output().splitlines()[-1]
    assert sentence.startswith("reelay up: encoder does not start (ended with status 1); its log")
    assert up.left_nothing()


def test_status_is_read_from_outside(up: Any) -> None:
    assert instance.running(up.data) is None
    up.start_ready()
    state = instance.running(up.data)
    assert state is not None
    assert state.status()["services"].keys() == {service.name for service in SERVICES}
    assert all(service["ready"] for service in state.status()["services"].values())


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests already run as an ordinary user")
@pytest.mark.usefixtures("open_checkout")
def test_an_ordinary_user_runs_it(make_up: Callable[..., Any]) -> None:
    python = Path("/usr/bin/python3")
    version = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
    if not python.exists() or subprocess.run([python, "-c", version], check=False).returncode:
        pytest.skip("no interpreter of this version that everybody may run")
    up = make_up(command=[*NOBODY, str(python)])
    folder = Path(tempfile.mkdtemp())
    os.chown(folder, 65534, 65534)
    up.data = folder / "data"
    sources = [*ROOT.glob("libs/*/src"), sysconfig.get_path("purelib")]
    up.environment = {"PYTHONPATH": ":".join(map(str, sources)), "HOME": str(folder)}
    try:
        up.start_ready()
        assert up.all_ready()
        assert {Path(f"/proc/{pid}").stat().st_uid for pid in up.processes()} == {65534}
        up.send(signal.SIGINT)
        assert up.wait() == 0
        assert up.left_nothing()
    finally:
        up.end()
        shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="about root")
@pytest.mark.usefixtures("open_checkout")
def test_root_without_user_namespaces_runs_postgres_as_an_ordinary_user(
    make_up: Callable[..., Any],
) -> None:
    up = make_up(command=[*WITHOUT_USER_NAMESPACES, sys.executable])
    up.start_ready()
    assert Path(f"/proc/{up.main_process('postgres')}").stat().st_uid != 0
    up.send(signal.SIGKILL)
    up.wait()
    up.start_ready()
    up.send(signal.SIGINT)
    assert up.wait() == 0
    assert up.left_nothing()
    up.command = [sys.executable]
    up.start_ready()
