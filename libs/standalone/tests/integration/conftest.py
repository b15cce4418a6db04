"""A `reelay up` with fake services that a test may signal, kill and start again."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from reelay.common.testing.servers import free_port
from reelay.standalone import instance, leftovers

SCRIPT = Path(__file__).with_name("fake_up.py")
DEADLINE_S = 40.0


def eventually(holds: Callable[[], Any], what: str, deadline_s: float = DEADLINE_S) -> Any:
    """Poll until `holds()` is true; return what it returned."""
    end = time.monotonic() + deadline_s
    while not (result := holds()):
        assert time.monotonic() < end, f"not within {deadline_s} s: {what}"
        time.sleep(0.05)
    return result


def parent(pid: int) -> int | None:
    """Return who started a process; None when it has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(stat.rpartition(")")[2].split()[1])


class Up:
    """One data directory and port, and the supervisor that runs on them."""

    def __init__(self, folder: Path, *, command: Sequence[str] = (sys.executable,)) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment: dict[str, str] = {}
        self.arguments: list[str] = []
        self.command = command
        """What runs the supervisor: an interpreter, perhaps by way of other programs."""
        self._output = folder / "output"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Up":
        own = {"REELAY_PORT": str(self.port), "REELAY_DATA": str(self.data)}
        with self._output.open("ab") as output:
            self.process = subprocess.Popen(
                [*self.command, str(SCRIPT), *self.arguments],
                env=os.environ | own | self.environment,
                stdout=output,
                stderr=output,
            )
        return self

    def start_ready(self) -> "Up":
        shown = self.output().count("Reelay is ready at")
        self.start()
        self.eventually_says("Reelay is ready at", times=shown + 1)
        return self

    def output(self) -> str:
        return self._output.read_text() if self._output.exists() else ""

    def eventually_says(self, text: str, *, times: int = 1) -> None:
        def said() -> bool:
            ended = self.process is not None and self.process.poll() is not None
            assert not ended or self.output().count(text) >= times, self.output()
            return self.output().count(text) >= times

        eventually(said, f"{text!r} in {self.output()}")

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self) -> int:
        assert self.process is not None
        return self.process.wait(DEADLINE_S)

    def get(self, path: str) -> tuple[int, str, bytes]:
        """Return status, content type and body of a GET through the gateway."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:
                return answer.status, answer.headers["content-type"], answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers["content-type"], error.read()

    def all_ready(self) -> bool:
        state = instance.running(self.data)
        parts = state.readiness() if state else {}
        return bool(parts) and all(p["ready"] for kind in parts.values() for p in kind.values())

    def processes(self, child: str | None = None) -> set[int]:
        if not self.data.exists():
            return set()
        folder = self.data / "postgres" if child in (None, "postgres") else None
        return leftovers.find(leftovers.mark(self.data), child=child, working_in=folder)

    def main_process(self, child: str) -> int:
        """Return the process of a child that the supervisor itself started."""
        assert self.process is not None
        (found,) = [pid for pid in self.processes(child) if parent(pid) == self.process.pid]
        return found

    def ports(self) -> list[int]:
        return [self.port, *json.loads((self.data / instance.STATE).read_text())["ports"].values()]

    def listening(self) -> list[int]:
        """Return the ports of this instance on which somebody accepts connections."""

        def answers(port: int) -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        return [port for port in self.ports() if answers(port)]

    def left_nothing(self) -> bool:
        return not self.processes() and not self.listening()

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        leftovers.kill(self.processes())


@pytest.fixture(name="eventually")
def eventually_fixture() -> Callable[..., Any]:
    return eventually


@pytest.fixture
def make_up(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    """Make instances, each in its own folder."""
    made: list[Up] = []

    def make(name: str = "one", **options: Any) -> Up:
        folder = tmp_path / name
        folder.mkdir()
        made.append(Up(folder, **options))
        return made[-1]

    yield make
    for up in made:
        up.end()


@pytest.fixture
def up(make_up: Callable[..., Up]) -> Up:
    """An instance that is not started yet."""
    return make_up()
