"""A running Reelay to be measured: its CPU time, and a client that times what it sees."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from reelay.common.testing.servers import free_port

READY_WITHIN_S = 90.0
SEND_QUEUE = (socket.SOL_SOCKET, socket.SO_SNDBUF, 128 * 1024)
"""What a client's own kernel keeps has not left the client: megabytes of it, unless bounded, would
count as uploaded."""
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass
class System:
    """An instance that `reelay up` runs."""

    pid: int
    port: int
    data: Path

    @property
    def url(self) -> str:
        """The gateway."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def store(self) -> Path:
        """Where the object store keeps its objects."""
        return self.data / "store"

    def client(self) -> httpx.Client:
        """Return a client with the administrator's token."""
        token = (self.data / "admin-token").read_text().strip()
        headers = {"authorization": f"Bearer {token}"}
        transport = httpx.HTTPTransport(socket_options=[SEND_QUEUE])
        return httpx.Client(base_url=self.url, headers=headers, timeout=120, transport=transport)

    def forget(self, client: httpx.Client, video_id: str) -> None:
        """Delete a video, and its bytes at once: sources of two hours fill a disk."""
        client.delete(f"/api/v1/videos/{video_id}").raise_for_status()
        reelay = Path(sys.executable).with_name("reelay")
        subprocess.run(
            [reelay, "gc", "--grace-hours", "0", "--json"],
            env={**os.environ, "REELAY_DATA": str(self.data)},
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def chunks_begun(self) -> int:
        """Return how many chunks its encoder has begun."""
        return (self.data / "log" / "encoder.log").read_text().count("chunk begins")

    def cpu_s(self) -> float:
        """Return the CPU time that all its processes, ended ones too, have used, in seconds."""
        return sum(map(_cpu_s, descendants(self.pid)))


def descendants(root: int) -> list[int]:
    """Return a process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, queue = [], [root]
    while queue:
        pid = queue.pop()
        found.append(pid)
        queue += children.get(pid, [])
    return found


def _cpu_s(pid: int) -> float:
    """Own time and that of children already waited for (proc(5), stat fields 14 to 17)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / TICKS_PER_S


@contextmanager
def running(**settings: str) -> Iterator[System]:
    """Run an instance on data of its own."""
    with tempfile.TemporaryDirectory(prefix="reelay-bench-") as folder:
        port = free_port()
        data = Path(folder) / "data"
        log = Path(folder) / "up.log"
        environment = {
            **os.environ, "REELAY_PORT": str(port), "REELAY_DATA": str(data), **settings,
        }  # fmt: skip
        with log.open("w") as output:
            process = subprocess.Popen(
                [str(Path(sys.executable).parent / "reelay"), "up"],
                env=environment, stdout=output, stderr=output,
            )  # fmt: skip
        end = time.monotonic() + READY_WITHIN_S
        while "Reelay is ready" not in log.read_text():
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(log.read_text())
            time.sleep(0.05)
        try:
            yield System(process.pid, port, data)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


@dataclass(frozen=True)
class Upload:
    """An upload that is done; `ended_at` is when its last byte was sent (time.monotonic)."""

    video_id: str
    ended_at: float


def upload(client: httpx.Client, body: Path, title: str, suffix: bytes = b"") -> Upload:
    """Draft a video and send its file in one PATCH; `suffix` makes its bytes unlike others."""
    return send(client, draft(client, title), body, suffix)


def draft(client: httpx.Client, title: str) -> str:
    """Draft a video; return its id."""
    answer = client.post("/api/v1/videos", json={"title": title}).raise_for_status()
    video_id: str = answer.json()["id"]
    return video_id


def send(client: httpx.Client, video_id: str, body: Path, suffix: bytes = b"") -> Upload:
    """Send a draft's file in one PATCH."""
    size = body.stat().st_size + len(suffix)
    created = client.post(
        "/api/v1/uploads",
        headers={
            "tus-resumable": "1.0.0",
            "upload-length": str(size),
            "upload-metadata": f"video_id {_base64(video_id)},filename {_base64(body.name)}",
        },
    ).raise_for_status()
    sent_at = 0.0

    def content() -> Iterator[bytes]:
        nonlocal sent_at
        with body.open("rb") as file:
            while block := file.read(1 << 20):
                yield block
        if suffix:
            yield suffix
        sent_at = time.monotonic()

    client.patch(
        created.headers["location"],
        content=content(),
        headers={
            "tus-resumable": "1.0.0",
            "upload-offset": "0",
            "content-type": "application/offset+octet-stream",
            "content-length": str(size),
        },
    ).raise_for_status()
    return Upload(video_id, sent_at)


def _base64(text: str) -> str:
    import base64

    return base64.b64encode(text.encode()).decode()


def wait_for_plan(client: httpx.Client, video_id: str) -> dict[str, Any]:
    """Return the video as soon as its playback is known, heard over SSE."""
    return wait_for(client, video_id, lambda video: bool(video["playback"]))


def wait_for_state(client: httpx.Client, video_id: str, *states: str) -> dict[str, Any]:
    """Return the video as soon as it has one of the states."""
    return wait_for(client, video_id, lambda video: video["state"] in (*states, "failed"))


def wait_for(client: httpx.Client, video_id: str, holds: Any) -> dict[str, Any]:
    """Return the first state of a video for which `holds` is true."""
    with client.stream("GET", "/api/v1/events", params={"video_id": video_id}) as stream:
        for line in stream.iter_lines():
            if line.startswith("data:"):
                video: dict[str, Any] = json.loads(line[5:])
                if video.get("id") == video_id and holds(video):
                    return video
    raise RuntimeError("the event stream ended")
