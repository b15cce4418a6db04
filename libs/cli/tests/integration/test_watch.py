"""`reelay watch` as a process, beside a real NATS server and a server of plans."""

import json
import os
import pty
import select
import signal
import subprocess
import termios
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from reelay.common.commands import EncoderAlive, Lane, SegmentDemanded
from reelay.common.events import TranscodeCompleted, TranscodeFailed
from reelay.common.message import Message
from reelay.common.messaging import Messaging
from reelay.common.testing.servers import Program
from reelay.standalone import instance

from ..watch_samples import ENDS_S, ID, PACKAGE, VIDEO, chunk, planned, stored
from .conftest import REELAY, Command

pytestmark = pytest.mark.integration

CONTENT = f"/api/v1/content/{ID}"
COMPLETED = TranscodeCompleted(package_id=ID, root_digest="d", size_bytes=1_500_000)
FAILED = TranscodeFailed(package_id=ID, asset_id="a", reason="The disk is full.")
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
    """Answers with what `pages` holds: text as it is, all else as JSON."""

    pages: dict[str, Any]


class Pages(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        page = self.server.pages.get(self.path)
        body = (page if isinstance(page, str) else json.dumps(page)).encode()
        self.send_response(200 if page is not None else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


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
        said = self.process.stderr.read()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process.stderr.close()
        assert "Traceback" not in said, said
        return self.process.wait(20), said


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


async def tell(packager: Messaging, message: Message) -> None:
    await packager.tell(message)
    # Sent before the test blocks its event loop by waiting for the process.
    await packager.client.flush()


async def test_past_is_shown_at_once_and_then_each_change(watch, packager: Messaging) -> None:
    other = "0b" * 32
    await packager.publish(planned())
    await packager.publish(stored(("360p", 1, 2), ("audio", 1, 1)))
    await packager.publish(stored(("720p", 1, 6), package_id=other))
    watching = watch(str(VIDEO))
    first = watching.wait_for(event="package", state="playable", title="Film", segments_stored=3)
    assert first["renditions"]["360p"]["stored"] == [[1, 2]]
    assert first["elapsed_s"] < 60

    await packager.publish(chunk("720p 360p", 3, 6, Lane.LADDER))
    watching.wait_for(event="encoding", rendition="720p", first=3, last=6, lane="ladder")
    await tell(packager, EncoderAlive(encoder_id="e", providers=[], encoder_version="9"))
    watching.wait_for(event="encoders", alive=1)
    await tell(packager, SegmentDemanded(package_id=ID, path="video/720p/4.m4s"))
    await tell(packager, SegmentDemanded(package_id=other, path="video/720p/5.m4s"))
    watching.wait_for(event="demanded", rendition="720p", number=4, position_s=4.0)
    await packager.publish(stored(("720p", 3, 4)))
    watching.wait_for(event="stored", rendition="720p", first=3, last=4, segments_stored=5)
    await packager.publish(COMPLETED)
    assert watching.end() == (0, "")
    assert watching.lines[-1]["state"] == "ready"
    assert watching.lines[-1]["segments_stored"] == 18
    assert not [one for one in watching.lines if one.get("number") == 5]


async def test_work_is_seen_and_left_to_the_encoders(watch, packager: Messaging) -> None:
    await packager.publish(chunk("360p audio", 1, 4, Lane.OPENING, task=1))
    await packager.publish(chunk("720p", 1, 4, package_id="0b" * 32, task=2))
    watching = watch(ID)
    first = watching.wait_for(event="package")
    assert first["renditions"]["audio"]["encoding"] == {"opening": [[1, 4]]}
    assert first["renditions"]["720p"]["encoding"] == {}
    await packager.publish(chunk("720p", 1, 4, task=3))
    watching.wait_for(event="encoding", rendition="720p")
    work = await packager.jetstream.stream_info("WORK")
    assert (work.state.messages, work.state.consumer_count) == (3, 0)


async def test_package_id_gets_the_title_of_the_video_it_was_planned_for(watch, packager) -> None:
    await packager.publish(planned())
    assert watch(ID).wait_for(event="package")["title"] == "Film"


async def test_complete_package_is_shown_without_its_facts(watch, pages, packager) -> None:
    pages[f"{CONTENT}/index.json"] = INDEX
    watching = watch(ID)
    assert watching.end() == (0, "")
    (line,) = watching.lines
    assert (line["state"], line["progress"]) == ("ready", 1.0)


async def test_follow_goes_on_after_the_end_until_ctrl_c(watch, pages, packager) -> None:
    pages[f"{CONTENT}/index.json"] = INDEX
    watching = watch(ID, "--follow")
    watching.wait_for(event="package", state="ready")
    await tell(packager, EncoderAlive(encoder_id="e", providers=[], encoder_version="9"))
    watching.wait_for(event="encoders", alive=1)
    watching.process.send_signal(signal.SIGINT)
    assert watching.end() == (130, "")


async def test_failure_is_said_with_its_reason(watch, packager: Messaging) -> None:
    watching = watch()
    watching.wait_for(event="package")
    await packager.publish(FAILED)
    assert watching.end() == (1, "reelay: The disk is full.\n")
    assert watching.lines[-1] | {"elapsed_s": None} == {
        "event": "state", "state": "failed", "reason": "The disk is full.", "elapsed_s": None,
        "segments_stored": 0, "segments_total": 18, "progress": 0.0,
    }  # fmt: skip


async def test_old_failure_of_a_package_that_is_made_again_does_not_end_it(watch, packager) -> None:
    await packager.publish(planned())
    await packager.publish(FAILED)
    await packager.publish(planned())
    await packager.publish(stored(("720p", 1, 1)))
    watching = watch(ID)
    watching.wait_for(event="package", state="planned", segments_stored=1)


async def test_newest_video_is_waited_for_until_it_has_a_plan(watch, pages, packager) -> None:
    pages[f"/api/v1/videos/{VIDEO}"] = video(state="uploading", package_id=None)
    watching = watch()
    watching.wait_for(event="waiting", state="uploading")
    pages[f"/api/v1/videos/{VIDEO}"] = video()
    watching.wait_for(event="package")


async def test_video_that_failed_before_its_plan_is_said(watch, pages, packager) -> None:
    pages[f"/api/v1/videos/{VIDEO}"] = video(state="failed", package_id=None, reason="No video.")
    watching = watch()
    assert watching.end() == (1, "reelay: No video.\n")
    assert watching.lines == [
        {"event": "failed", "video_id": str(VIDEO), "reason": "No video."}
    ]  # fmt: skip


async def test_broker_that_was_away_is_heard_again(watch, packager, nats: Program) -> None:
    await packager.publish(stored(("720p", 1, 1)))
    watching = watch(ID)
    watching.wait_for(event="package", segments_stored=1)
    nats.kill()
    nats.start()
    again = Messaging(nats.url, "again")
    await again.start()
    await again.publish(stored(("720p", 3, 3)))
    watching.wait_for(event="stored", rendition="720p", first=3)
    await again.publish(COMPLETED)
    assert watching.end() == (0, "")
    await again.stop()


def test_nothing_to_watch_is_said(command: Command, pages: dict[str, Any]) -> None:
    pages["/api/v1/videos?limit=1"] = {"videos": []}
    done = command("watch")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("reelay: There is no video")


def test_instance_that_does_not_run_is_said(command: Command) -> None:
    done = command("watch")
    assert done.returncode == 1
    assert "No Reelay runs" in done.stderr


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


async def test_terminal_is_left_as_it_was_when_q_is_pressed(terminal, packager) -> None:
    await packager.publish(stored(("720p", 1, 4)))
    screen = terminal()
    assert ENTER in screen.read_until("leaves")
    os.write(screen.master, b"xq")
    left = screen.read_until("4/6")
    assert LEAVE in left
    assert screen.process.wait(20) == 0
    assert termios.tcgetattr(screen.slave) == screen.before


async def test_terminal_keeps_the_final_map_when_the_package_fails(terminal, packager) -> None:
    screen = terminal()
    screen.read_until("leaves")
    await packager.publish(FAILED)
    assert "failed" in screen.read_until("reelay: The disk is full.")
    assert screen.process.wait(20) == 1
    assert termios.tcgetattr(screen.slave) == screen.before


async def test_new_size_of_the_terminal_is_drawn_at_once(terminal, packager) -> None:
    screen = terminal()
    assert "0/6" in screen.read_until("leaves")
    termios.tcsetwinsize(screen.slave, (20, 50))
    screen.process.send_signal(signal.SIGWINCH)
    drawn = screen.read_until("leaves")
    assert "0/6" not in drawn


async def test_complete_package_is_printed_without_a_second_screen(terminal, pages) -> None:
    pages[f"{CONTENT}/index.json"] = INDEX
    screen = terminal()
    drawn = screen.read_until("promised")
    assert ENTER not in drawn
    assert screen.process.wait(20) == 0
