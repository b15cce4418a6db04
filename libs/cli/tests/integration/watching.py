"""`reelay watch` as a process, a server of plans for it, and a terminal around it."""

import json
import os
import pty
import select
import subprocess
import termios
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

from reelay.common.events import PackageRemoved, TranscodeCompleted, TranscodeFailed
from reelay.common.message import Message
from reelay.common.messaging import Messaging
from reelay.common.testing.servers import Program
from reelay.standalone import instance

from ..watch_samples import ENDS_S, ID, PACKAGE, VIDEO
from .command import REELAY, Command

CONTENT = f"/api/v1/content/{ID}"
ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"
COMPLETED = TranscodeCompleted(package_id=ID, root_digest="d", size_bytes=1_500_000)
FAILED = TranscodeFailed(package_id=ID, asset_id="a", reason="The disk is full.")
REMOVED = PackageRemoved(package_id=ID)
INDEX = {"package_id": ID, "root_digest": "d", "objects": {"plan.json": {"size": 10}}}
PLAN = {"renditions": [{"id": r.name, "kind": r.kind, "path": r.path, "segments": 6}
                       for r in PACKAGE.renditions]}  # fmt: skip


def playlist() -> str:
    lengths = [end - begin for begin, end in pairwise((0.0, *ENDS_S))]
    lines = [f"#EXTINF:{one:.6f},\n{n}.m4s" for n, one in enumerate(lengths, 1)]
    return "\n".join(["#EXTM3U", "#EXT-X-TARGETDURATION:4", *lines, "#EXT-X-ENDLIST", ""])


def video(**more: Any) -> dict[str, Any]:
    return {"id": str(VIDEO), "title": "Film", "state": "planned", "package_id": ID} | more


class Server(ThreadingHTTPServer):
    """Answers with what `pages` holds: text as it is, all else as JSON, problems with their status.

    A problem is an object with a `status` (RFC 9457).
    """

    pages: dict[str, Any]


class Pages(BaseHTTPRequestHandler):
    server: Server

    def do_HEAD(self) -> None:
        self.send_page()

    def do_GET(self) -> None:
        self.wfile.write(self.send_page())

    def send_page(self) -> bytes:
        """Send the head; return the body."""
        page = self.server.pages.get(self.path, {"status": 404})
        body = (page if isinstance(page, str) else json.dumps(page)).encode()
        self.send_response(page.get("status", 200) if isinstance(page, dict) else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        return body

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def write_instance(data: Path, url: str, nats: Program) -> None:
    (data / "run").mkdir(parents=True)
    (data / "internal-secret").write_text("secret\n")
    started = instance.start_time(os.getpid())
    assert started is not None
    ports = {"nats": nats.port}
    instance.write(data, instance.Instance(os.getpid(), started, url, "http://x", {}, ports))


class Watching:
    """`reelay watch --json` that runs, and the lines it wrote."""

    def __init__(self, command: Command, *arguments: str) -> None:
        self.process = command.start("watch", "--json", *arguments)
        self.lines: list[dict[str, Any]] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.lines.append(json.loads(line))
                self._news.notify_all()

    def wait_for(self, **members: Any) -> dict[str, Any]:
        """Return the first line that has these members."""

        def found() -> dict[str, Any] | None:
            return next((one for one in self.lines if members.items() <= one.items()), None)

        with self._news:
            assert self._news.wait_for(lambda: found() is not None, 20), (members, self.lines)
        line = found()
        assert line is not None
        return line

    def end(self) -> tuple[int, str]:
        """Wait for the end; return exit code and standard error."""
        assert self.process.stderr is not None
        code = self.process.wait(20)
        said = self.process.stderr.read()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process.stderr.close()
        assert "Traceback" not in said, said
        return code, said


async def tell(packager: Messaging, message: Message) -> None:
    await packager.tell(message)
    # Sent before the test blocks its event loop by waiting for the process.
    await packager.client.flush()


class Terminal:
    """A terminal with `reelay watch` in it."""

    def __init__(self, command: Command, *arguments: str) -> None:
        self.master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (24, 80))
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.shown = b""
        self.process = subprocess.Popen(
            [REELAY, "watch", *arguments], stdin=slave, stdout=slave, stderr=slave,
            env=command.environment | {"TERM": "xterm-256color"}, start_new_session=True,
        )  # fmt: skip

    def read_until(self, text: str) -> str:
        end = time.monotonic() + 20
        while text.encode() not in self.shown:
            assert time.monotonic() < end, (text, self.shown.decode())
            if select.select([self.master], [], [], 0.1)[0]:
                self.shown += os.read(self.master, 65536)
        shown, self.shown = self.shown.decode(), b""
        return shown

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.slave)
        os.close(self.master)
