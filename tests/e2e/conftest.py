"""A whole system as `make up` starts it, and a browser."""

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from reelay.common.testing.servers import free_port, wait_until

READY_WITHIN_S = 90.0
PLAYERS = Path(__file__).parent / "browser"
CHROMIUM_OPTIONS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-quic",
    "--autoplay-policy=no-user-gesture-required",
]  # fmt: skip


@dataclass
class Instance:
    """A running `reelay up`."""

    process: subprocess.Popen[str]
    data: Path
    port: int
    environment: dict[str, str]

    @property
    def url(self) -> str:
        """The gateway."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def token(self) -> str:
        """The administrator's token."""
        return (self.data / "admin-token").read_text().strip()

    def reelay(
        self, *arguments: str, timeout_s: float = 240, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the command line against this instance."""
        return subprocess.run(
            [str(Path(sys.executable).parent / "reelay"), *arguments],
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def publish(self, *files: Path, wait: bool = True) -> list[dict[str, Any]]:
        """Publish files; return the events that the command line printed."""
        options = [] if wait else ["--no-wait"]
        done = self.reelay("publish", "--json", *options, *map(str, files))
        return [json.loads(line) for line in done.stdout.splitlines()]

    def video(self, video_id: str) -> dict[str, Any]:
        """Return what the catalog says of a video."""
        answer = httpx.get(f"{self.url}/api/v1/videos/{video_id}", timeout=10)
        document: dict[str, Any] = answer.raise_for_status().json()
        return document

    def delete(self, video_id: str) -> None:
        """Remove a video, and with it the work that only it needed."""
        headers = {"authorization": f"Bearer {self.token}"}
        answer = httpx.delete(f"{self.url}/api/v1/videos/{video_id}", headers=headers, timeout=10)
        answer.raise_for_status()

    def pids(self) -> dict[str, int]:
        """Return the processes of the services by name."""
        found = {}
        # The lowest last: what a service starts looks like itself until it is another program.
        numbers = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        for number in sorted(numbers, reverse=True):
            entry = Path(f"/proc/{number}")
            try:
                line = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            if str(self.data).encode() not in environment and not any(
                str(self.data) in word for word in line
            ):
                continue
            for word in line:
                if word.startswith("reelay."):
                    found[word.removeprefix("reelay.")] = number
            if line[0].endswith("nats-server"):
                found["nats"] = number
            if line[0].endswith("/postgres"):
                found["postgres"] = number
        return found

    def variables(self, service: str) -> dict[str, str]:
        """Return the environment of a service's process."""
        text = Path(f"/proc/{self.pids()[service]}/environ").read_bytes().decode()
        return dict(line.split("=", 1) for line in text.split("\0") if "=" in line)

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """End it as a user would; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(60)


def start_instance(data: Path, port: int | None = None, **settings: str) -> Instance:
    """Start `reelay up` and return when it says that it is ready."""
    port = port or free_port()
    environment = {
        **os.environ, "REELAY_PORT": str(port), "REELAY_DATA": str(data), "NO_COLOR": "1",
        "XDG_STATE_HOME": str(data.parent / "state"), **settings,
    }  # fmt: skip
    data.parent.mkdir(parents=True, exist_ok=True)
    output = data.parent / f"{data.name}.log"
    with output.open("w") as log:
        process = subprocess.Popen(
            [str(Path(sys.executable).parent / "reelay"), "up"],
            env=environment, stdout=log, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
    instance = Instance(process, data, port, environment)
    line = f"Reelay is ready at {instance.url}"

    def ready() -> bool:
        assert process.poll() is None, output.read_text()
        return line in output.read_text()

    try:
        wait_until(ready, "reelay up is ready", READY_WITHIN_S)
    except BaseException:
        process.kill()
        sys.stderr.write(output.read_text())
        raise
    return instance


@pytest.fixture(scope="session")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """A system that tests share and do not harm."""
    running = start_instance(tmp_path_factory.mktemp("shared") / "data")
    yield running
    running.stop()


@pytest.fixture
def own_instance(tmp_path: Path) -> Iterator[Instance]:
    """A system of the test's own, to be mistreated."""
    running = start_instance(tmp_path / "data")
    yield running
    running.stop()


@pytest.fixture(scope="session")
def player_url() -> Iterator[str]:
    """A web server with the players' page."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    handler = partial(Quiet, directory=str(PLAYERS))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/player.html"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The system's Chromium, headless.

    Playwright's event loop runs on in this thread until it ends, and no other may run beside it.
    """
    binary = next(
        path for name in ("chromium", "google-chrome") if (path := Path("/usr/bin") / name).exists()
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=CHROMIUM_OPTIONS)
        yield browser
        browser.close()


def open_player(browser: Browser, page_url: str, player: str, source: str) -> Page:
    """Open the page that plays `source`: `hls` with hls.js, `shaka`, or `file` with neither."""
    page = browser.new_page()
    page.goto(f"{page_url}?player={player}&source={quote(source, safe='')}")
    return page
