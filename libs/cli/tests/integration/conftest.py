"""The command as a process, and a server for it."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reelay.common.messaging import Messaging
from reelay.common.testing.servers import Program

from ..watch_samples import PACKAGE, VIDEO
from .command import Command
from .fake_server import TOKEN, FakeReelay, Handler, QuietServer
from .watching import (
    CONTENT,
    PLAN,
    Pages,
    Server,
    Terminal,
    Watching,
    playlist,
    video,
    write_instance,
)


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


@pytest.fixture
def pages(command: Command, nats: Program) -> Iterator[dict[str, Any]]:
    """What the server of a running instance answers; one package is planned."""
    known = {
        f"/api/v1/videos/{VIDEO}": video(),
        "/api/v1/videos?limit=1": {"videos": [video()]},
        f"{CONTENT}/plan.json": PLAN,
        **{f"{CONTENT}/{r.path}/index.m3u8": playlist() for r in PACKAGE.renditions},
    }
    with Server(("127.0.0.1", 0), Pages) as server:
        server.pages = known
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        write_instance(command.directory / "data", f"http://127.0.0.1:{server.server_port}", nats)
        yield known
        server.shutdown()
        thread.join()


@pytest.fixture
def watch(command: Command, pages: dict[str, Any]) -> Iterator[Any]:
    """Starts `reelay watch --json`."""
    started: list[Watching] = []

    def start(*arguments: str) -> Watching:
        started.append(Watching(command, *arguments))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.end()


@pytest.fixture
async def packager(messaging: Messaging) -> Messaging:
    """Publishes what the services would."""
    await messaging.start()
    return messaging


@pytest.fixture
def terminal(command: Command, pages: dict[str, Any]) -> Iterator[Any]:
    """Starts `reelay watch` in a terminal."""
    started: list[Terminal] = []

    def start(*arguments: str) -> Terminal:
        started.append(Terminal(command, *arguments))
        return started[-1]

    yield start
    for one in started:
        one.close()


ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"
