"""The content API beside nginx, and beside the S3 store that it reads from.

Needs `nginx` and `wrk` (Debian: `apt-get install nginx-light wrk`).
"""

import hashlib
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

from minio import Minio

from benchmarks.machine import Figure
from reelay.common.testing.s3 import ACCESS_KEY, SECRET_KEY, fresh_bucket_url, seaweedfs_server
from reelay.common.testing.servers import Program, free_port

SEGMENT_BYTES = 1_500_000
PLAYLIST = b"#EXTM3U\n" + b"#EXTINF:4,\n1000.m4s\n" * 30
CONNECTIONS = 32
READERS = 200
SLOW_BYTES = 16 * 1024
"""What a slow reader takes five times a second."""
MEMORY_MIB = 200
FLAT = 1.1
"""Largest memory of the last third of a run ÷ that of the first."""
PACKAGE = "ab" * 32
CONTENT = f"/api/v1/content/{PACKAGE}"
RENDITION = "video/360p"

NGINX = """
worker_processes 1; daemon off; pid {root}/nginx.pid; error_log {root}/nginx-error.log;
events {{ worker_connections 2048; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000;
  client_body_temp_path {root}/t1; proxy_temp_path {root}/t2; fastcgi_temp_path {root}/t3;
  uwsgi_temp_path {root}/t4; scgi_temp_path {root}/t5;
  server {{ listen 127.0.0.1:{port}; location /api/v1/content/ {{ alias {root}/files/; }} }}
}}
"""


@dataclass
class Bench:
    """A content API on S3, nginx with the same files, and the store itself."""

    ours: Program
    nginx: Program
    client: Minio
    store: str
    bucket: str

    def put(self, path: str, content: bytes) -> None:
        """Store an object of the package."""
        name = f"packages/{PACKAGE}/{path}"
        self.client.put_object(self.bucket, name, BytesIO(content), len(content))

    @property
    def pid(self) -> int:
        """The content API."""
        assert self.ours.process is not None
        return self.ours.process.pid


@contextmanager
def running() -> Iterator[Bench]:
    """Run all three."""
    for program in ("nginx", "wrk"):
        if shutil.which(program) is None:
            raise RuntimeError(f"{program} is needed: apt-get install nginx-light wrk")
    with tempfile.TemporaryDirectory(prefix="reelay-bench-") as folder:
        root = Path(folder)
        root.chmod(0o755)  # nginx as root reads files as another user
        with seaweedfs_server(root) as s3:
            url = fresh_bucket_url(s3)
            store = f"127.0.0.1:{s3.port}"
            client = Minio(store, ACCESS_KEY, SECRET_KEY, secure=False)
            bucket = urlsplit(url).path.strip("/")
            client.make_bucket(bucket)
            ours, nginx = _content_api(root, url), _nginx(root)
            try:
                ours.start()
                nginx.start()
                bench = Bench(ours, nginx, client, store, bucket)
                rendition = {"id": "360p", "path": RENDITION, "segments": 100_000}
                bench.put("plan.json", json.dumps({"renditions": [rendition]}).encode())
                yield bench
            finally:
                nginx.stop()
                ours.stop()


def _content_api(root: Path, store_url: str) -> Program:
    port = free_port()
    (root / "cache").mkdir()
    settings = {"port": port, "store_url": store_url, "cache_dir": root / "cache"}
    settings["nats_url"] = "nats://127.0.0.1:1"
    environment = [f"CONTENT_API_{name.upper()}={value}" for name, value in settings.items()]
    argv = ["env", *environment, sys.executable, "-m", "reelay.content_api"]
    return Program(argv, port, f"http://127.0.0.1:{port}", root / "content-api.log")


def _nginx(root: Path) -> Program:
    port = free_port()
    files = root / "files" / PACKAGE / RENDITION
    files.mkdir(parents=True)
    (root / "nginx.conf").write_text(NGINX.format(root=root, port=port))
    argv = ["nginx", "-e", f"{root}/nginx-error.log", "-c", f"{root}/nginx.conf"]
    return Program(argv, port, f"http://127.0.0.1:{port}", root / "nginx.log")


def load(program: Program, path: str, seconds: float, connections: int = CONNECTIONS) -> float:
    """Return requests per second that `wrk` gets answered."""
    argv = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", f"{program.url}{CONTENT}/{path}"]
    report = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    rate = re.search(r"Requests/sec:\s+([0-9.]+)", report)
    if rate is None or "Non-2xx" in report or "Socket errors" in report:
        raise RuntimeError(report)
    return float(rate.group(1))


def beside_nginx(
    bench: Bench, path: str, content: bytes, what: str, target: float, runs: int, seconds: float
) -> list[Figure]:
    """Measure alternating pairs of the same file."""
    bench.put(path, content)
    root = bench.nginx.log.parent / "files" / PACKAGE
    (root / path).write_bytes(content)
    load(bench.ours, path, 1)
    load(bench.nginx, path, 1)
    ours, theirs = [], []
    for _ in range(runs):
        theirs.append(load(bench.nginx, path, seconds))
        ours.append(load(bench.ours, path, seconds))
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    ratio = Figure(f"{what}: content API ÷ nginx", "ratio", ratios, f"p50 ≥ {target}")
    return [
        Figure(f"{what}: content API", "requests/s", ours),
        Figure(f"{what}: nginx", "requests/s", theirs),
        replace(ratio, holds=ratio.median >= target),
    ]


def first_byte_s(connection: http.client.HTTPConnection, target: str) -> float:
    """Return the time from a request to the first byte of its body; read the rest too."""
    began = time.perf_counter()
    connection.request("GET", target)
    answer = connection.getresponse()
    answer.read(1)
    took = time.perf_counter() - began
    if answer.status != 200 or len(answer.read()) != SEGMENT_BYTES - 1:
        raise RuntimeError(f"{target}: {answer.status}")
    return took


def misses(bench: Bench, runs: int, target: float = 1.3) -> list[Figure]:
    """Measure cold objects of a complete package, each asked for once: here, then at the store."""
    direct = http.client.HTTPConnection(bench.store)
    ours = http.client.HTTPConnection("127.0.0.1", bench.ours.port)
    mine, theirs = [], []
    numbers = range(1000, 1000 + 2 * (runs + 2), 2)
    listed = {}
    for number in [*numbers, *(number + 1 for number in numbers)]:
        path, content = f"{RENDITION}/{number}.m4s", os.urandom(SEGMENT_BYTES)
        bench.put(path, content)
        listed[path] = {"size": SEGMENT_BYTES, "sha256": hashlib.sha256(content).hexdigest()}
    bench.put("index.json", json.dumps({"objects": listed}).encode())
    for number in numbers:
        mine.append(first_byte_s(ours, f"{CONTENT}/{RENDITION}/{number}.m4s"))
        name = f"packages/{PACKAGE}/{RENDITION}/{number + 1}.m4s"
        url = urlsplit(bench.client.presigned_get_object(bench.bucket, name))
        theirs.append(first_byte_s(direct, f"{url.path}?{url.query}"))
    # The first two find connections closed and the plan unread.
    mine, theirs = mine[2:], theirs[2:]
    ratios = [one / other for one, other in zip(mine, theirs, strict=True)]
    ratio = Figure("segment miss: first byte ÷ direct S3 GET", "ratio", ratios, f"p50 ≤ {target}")
    return [
        Figure("segment miss: first byte", "ms", [1000 * value for value in mine]),
        Figure("direct S3 GET: first byte", "ms", [1000 * value for value in theirs]),
        replace(ratio, holds=ratio.median <= target),
    ]


def fetches(bench: Bench) -> float:
    """Return how often the content API has asked the store for an object, by its own count."""
    connection = http.client.HTTPConnection("127.0.0.1", bench.ours.port)
    connection.request("GET", "/metrics")
    report = connection.getresponse().read().decode()
    found = re.findall(r"^reelay_content_cache_fetches_total\{.*\} ([0-9.]+)", report, re.MULTILINE)
    return sum(map(float, found))


def one_for_all(bench: Bench, runs: int, clients: int = 100) -> list[Figure]:
    """Count requests to the store when many ask for one cold object."""
    counts = []
    for number in range(5000, 5000 + runs):
        path = f"{RENDITION}/{number}.m4s"
        bench.put(path, os.urandom(SEGMENT_BYTES))
        before = fetches(bench)

        def ask(_: int, path: str = path) -> None:
            first_byte_s(
                http.client.HTTPConnection("127.0.0.1", bench.ours.port), f"{CONTENT}/{path}"
            )

        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(ask, range(clients)))
        counts.append(fetches(bench) - before)
    name = f"{clients} clients of one cold object: GETs at the store"
    return [Figure(name, "requests", counts, "1", all(count == 1 for count in counts))]


def memory(bench: Bench, seconds: float) -> list[Figure]:
    """Measure memory under 200 connections: slow readers and a fast load at the same time."""
    path = f"{RENDITION}/1.m4s"
    slow = [_slow_reader(bench.ours.port, path) for _ in range(READERS // 2)]
    samples: list[float] = []
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(load, bench.ours, path, seconds, READERS // 2)
        while not running.done():
            samples.append(_resident_mib(bench.pid))
            for reader in slow:
                reader.recv(SLOW_BYTES)
            time.sleep(0.2)
        running.result()
    for reader in slow:
        reader.close()
    third = len(samples) // 3
    growth = max(samples[-third:]) / max(samples[:third])
    name = f"memory under {READERS} connections"
    return [
        Figure(name, "MiB", samples, f"≤ {MEMORY_MIB}", max(samples) <= MEMORY_MIB),
        Figure(f"{name}: end ÷ begin", "ratio", [growth], f"≤ {FLAT}", growth <= FLAT),
    ]


def _slow_reader(port: int, path: str) -> socket.socket:
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * SLOW_BYTES)
    reader.connect(("127.0.0.1", port))
    reader.sendall(f"GET {CONTENT}/{path} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
    return reader


def _resident_mib(pid: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found.group(1)) / 1024


def measure(quick: bool) -> Iterator[Figure]:
    """Measure everything about delivery."""
    runs, seconds = (3, 2.0) if quick else (9, 5.0)
    segment = os.urandom(SEGMENT_BYTES)
    with running() as bench:
        yield from misses(bench, 20 if quick else 300)
        yield from beside_nginx(
            bench, f"{RENDITION}/1.m4s", segment, "1.5 MB segment", 0.9, runs, seconds
        )
        yield from beside_nginx(
            bench, f"{RENDITION}/index.m3u8", PLAYLIST, "playlist", 0.6, runs, seconds
        )
        yield from one_for_all(bench, 2 if quick else 5)
        yield from memory(bench, 10 if quick else 40)
