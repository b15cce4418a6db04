"""The command as a process, and a server for it."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .fake_server import TOKEN, FakeReelay, Handler, QuietServer

REELAY = str(Path(sys.executable).parent / "reelay")


@dataclass
class Command:
    """`reelay` with an environment of its own."""

    directory: Path
    environment: dict[str, str]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [REELAY, *arguments],
            env=self.environment,
            cwd=self.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=60)
        assert "Traceback" not in err, err
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    @property
    def remembered(self) -> dict[str, Any]:
        path = self.directory / "state/reelay/uploads.json"
        entries: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        return entries


@pytest.fixture
def reelay() -> FakeReelay:
    """The server's mind."""
    return FakeReelay()


@pytest.fixture
def server(reelay: FakeReelay) -> Iterator[str]:
    """The server's address."""
    handler = type("BoundHandler", (Handler,), {"reelay": reelay})
    with QuietServer(("127.0.0.1", 0), handler) as listener:
        thread = threading.Thread(target=listener.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{listener.server_port}"
        listener.shutdown()
        thread.join()


@pytest.fixture
def command(tmp_path: Path, server: str) -> Command:
    """The command, whose server is the fake."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    more = {
        "REELAY_DATA": str(tmp_path / "data"),
        "REELAY_SERVER": server,
        "REELAY_TOKEN": TOKEN,
        "XDG_STATE_HOME": str(tmp_path / "state"),
        # A proxy that nobody runs: loopback must not be asked of it.
        "HTTP_PROXY": "http://127.0.0.1:9",
        "PYTHONWARNINGS": "default",
    }
    return Command(tmp_path, kept | more)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Something to upload: 2 MB that differ everywhere."""
    path = tmp_path / "My film.mp4"
    path.write_bytes(b"".join(number.to_bytes(4, "big") for number in range(500_000)))
    return path
