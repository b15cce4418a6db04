"""A large file by tus ÷ the same bytes through `dd | sha256sum`; memory under many connections."""

import os
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from benchmarks.machine import Figure
from benchmarks.system import System, descendants, running

LEAST_RATE = 0.8
"""Of what `dd | sha256sum` reaches."""
CONNECTIONS = 200
MOST_MEMORY_MB = 200
MOST_GROWTH = 1.1
"""Memory at the end ÷ memory as soon as all connections send: flat."""
SAMPLE_EVERY_S = 0.1
MIB = 1 << 20
FTYP = bytes.fromhex("00000020667479706d703432000000006d70343269736f6d61766331") + bytes(4)


def measure(size_mib: int = 2048, runs: int = 5) -> list[Figure]:
    """Measure `runs` alternating pairs; every run's bytes are new to the server."""
    ours, theirs = [], []
    with running() as system, _file(size_mib) as file:
        service = _service(system)
        for number in range(runs + 1):
            _make_new(file, number)
            hashed_s = _dd_sha256sum_s(file)
            sent_s = service.send_s(file)
            if number:  # the first pair warms up both
                ours.append(size_mib / sent_s)
                theirs.append(size_mib / hashed_s)
    ratio = Figure("tus ÷ dd and sha256sum", "", [a / b for a, b in zip(ours, theirs, strict=True)])
    return [
        Figure(f"{size_mib} MiB by tus over loopback, hashed and durable", "MiB/s", ours),
        Figure("the same bytes through dd and sha256sum", "MiB/s", theirs),
        replace(ratio, target=f"p50 ≥ {LEAST_RATE}", holds=ratio.median >= LEAST_RATE),
    ]


def measure_memory(size_mib: int = 24) -> list[Figure]:
    """Measure the upload service while 200 connections send a file each, as fast as they can."""
    with running() as system, _file(size_mib) as file:
        service = _service(system)
        idle_mb = service.memory_mb()
        data = file.read_bytes()
        senders = [
            threading.Thread(target=service.send_bytes, args=(data, number))
            for number in range(CONNECTIONS)
        ]
        for sender in senders:
            sender.start()
        samples = []
        while any(sender.is_alive() for sender in senders):
            samples.append(service.memory_mb())
            time.sleep(SAMPLE_EVERY_S)
    quarter = max(1, len(samples) // 4)
    begin, end = samples[quarter : 2 * quarter] or samples, samples[-quarter:]
    growth = statistics.median(end) / statistics.median(begin)
    memory = Figure(f"upload service, {CONNECTIONS} connections: memory", "MB", samples)
    flat = Figure("memory at the end ÷ in the second quarter", "", [growth])
    return [
        Figure("upload service at rest: memory", "MB", [idle_mb]),
        replace(
            memory,
            target=f"max ≤ {MOST_MEMORY_MB}",
            holds=max(memory.values) <= MOST_MEMORY_MB,
        ),
        replace(flat, target=f"≤ {MOST_GROWTH}", holds=growth <= MOST_GROWTH),
    ]


@dataclass(frozen=True)
class Service:
    """The upload service, asked at its own port."""

    pid: int
    port: int
    token: str

    def memory_mb(self) -> float:
        """Return its resident memory in MB, without pages that only belong to files."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        fields = dict(line.split(":", 1) for line in lines)
        return int(fields["VmRSS"].split()[0]) * 1024 / 1e6

    def send_s(self, file: Path) -> float:
        """Return the wall time of one upload in one request, until it is complete."""
        began = time.monotonic()
        connection = self._begin(file.stat().st_size)
        with connection, file.open("rb") as source:
            connection.sendfile(source)
            _check(connection)
        return time.monotonic() - began

    def send_bytes(self, data: bytes, number: int) -> None:
        """Upload `data` with an end of its own."""
        ending = f"{number:016}".encode()
        with self._begin(len(data) + len(ending)) as connection:
            connection.sendall(data)
            connection.sendall(ending)
            _check(connection)

    def _begin(self, size_bytes: int) -> socket.socket:
        """Create an upload; return a connection that expects its bytes."""
        headers = {"authorization": f"Bearer {self.token}", "tus-resumable": "1.0.0"}
        created = httpx.post(
            f"http://127.0.0.1:{self.port}/api/v1/uploads",
            headers={**headers, "upload-length": str(size_bytes)},
            timeout=120,
        ).raise_for_status()
        headers |= {
            "host": "127.0.0.1",
            "upload-offset": "0",
            "content-type": "application/offset+octet-stream",
            "content-length": str(size_bytes),
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=600)
        connection.sendall(f"PATCH {created.headers['location']} HTTP/1.1\r\n{lines}\r\n".encode())
        return connection


def _check(connection: socket.socket) -> None:
    answer = connection.recv(4096)
    if not answer.startswith(b"HTTP/1.1 204"):
        raise RuntimeError(answer.decode(errors="replace"))


def _service(system: System) -> Service:
    for pid in descendants(system.pid):
        if b"reelay.upload" in Path(f"/proc/{pid}/cmdline").read_bytes():
            lines = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
            environment = dict(line.split("=", 1) for line in lines if "=" in line)
            token = (system.data / "admin-token").read_text().strip()
            return Service(pid, int(environment["UPLOAD_PORT"]), token)
    raise RuntimeError("no upload service runs")


@contextmanager
def _file(size_mib: int) -> Iterator[Path]:
    """Make a file that begins as an MP4 file does and goes on at random."""
    with tempfile.TemporaryDirectory(prefix="reelay-bench-") as folder:
        path = Path(folder) / "film.mp4"
        with path.open("wb") as file:
            file.write(FTYP + os.urandom(MIB - len(FTYP)))
            for _ in range(size_mib - 1):
                file.write(os.urandom(MIB))
        yield path


def _make_new(file: Path, number: int) -> None:
    """Change some bytes, so that no earlier upload was of the same file."""
    with file.open("r+b") as target:
        target.seek(4096)
        target.write(f"{number:016}".encode())


def _dd_sha256sum_s(file: Path) -> float:
    began = time.monotonic()
    with subprocess.Popen(
        ["dd", f"if={file}", "bs=1M", "status=none"], stdout=subprocess.PIPE
    ) as dd:
        subprocess.run(["sha256sum"], stdin=dd.stdout, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - began
