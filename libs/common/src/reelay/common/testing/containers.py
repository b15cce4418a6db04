"""The test servers from images instead of wheels, where a Docker engine answers."""

import signal
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testcontainers.core.container import DockerContainer

from reelay.common.testing.servers import Program, free_port, wait_until

NATS_IMAGE = "nats:2.12-alpine"
POSTGRES_IMAGE = "postgres:18-alpine"
SEAWEEDFS_IMAGE = "chrislusf/seaweedfs:4.48"
SEAWEEDFS_PORT = 8333
SSL_REQUEST = struct.pack(">II", 8, 80877103)
"""Every PostgreSQL answers this with one byte (Message Formats, SSLRequest)."""


@dataclass
class ContainerProgram(Program):
    """A server in a container, with the same handles as one that runs as a process."""

    container: DockerContainer | None = None
    created: bool = False
    greeting: bytes | None = None
    """What it is sent to learn whether it is ready; None: it speaks first.

    A connection says nothing: Docker accepts those of a server that does not listen yet.
    """

    def start(self) -> None:
        """Start it, or start it again on the same data and port."""
        assert self.container is not None
        if self.created:
            self.container.get_wrapped_container().start()
        else:
            self.container.start()
            self.created = True
        wait_until(lambda: _speaks(self.port, self.greeting), f"port {self.port} answers")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal and wait for the end."""
        assert self.container is not None
        wrapped = self.container.get_wrapped_container()
        wrapped.reload()
        if wrapped.status == "running":
            wrapped.kill(signal=number.name)
            wrapped.wait(timeout=30)


@contextmanager
def nats_container() -> Iterator[Program]:
    """Run a NATS server with JetStream from its image."""
    port = free_port()
    container = DockerContainer(NATS_IMAGE).with_command("-js").with_bind_ports(4222, port)
    with _running(container, port, f"nats://127.0.0.1:{port}", None) as program:
        yield program


@contextmanager
def postgres_container() -> Iterator[Program]:
    """Run a PostgreSQL server from its image."""
    port = free_port()
    container = (
        DockerContainer(POSTGRES_IMAGE)
        .with_env("POSTGRES_HOST_AUTH_METHOD", "trust")
        .with_command("postgres -c max_connections=200")
        .with_bind_ports(5432, port)
    )
    url = f"postgresql://postgres@127.0.0.1:{port}"
    with _running(container, port, url, SSL_REQUEST) as program:
        yield program


@contextmanager
def seaweedfs_container(identities: Path, url: str) -> Iterator[Program]:
    """Run SeaweedFS from its image; `url` has `{port}` in it, `identities` are its S3 users."""
    port = free_port()
    inside = f"/etc/{identities.name}"
    container = (
        DockerContainer(SEAWEEDFS_IMAGE)
        .with_command(
            f"mini -dir=/data -ip=127.0.0.1 -ip.bind=0.0.0.0 -s3.port={SEAWEEDFS_PORT} "
            f"-s3.config={inside} -webdav=false -admin.ui=false -master.telemetry=false "
            "-master.volumeSizeLimitMB=64"
        )
        .with_volume_mapping(str(identities), inside)
        .with_bind_ports(SEAWEEDFS_PORT, port)
    )
    request = b"GET / HTTP/1.0\r\n\r\n"
    with _running(container, port, url.format(port=port), request) as program:
        yield program


@contextmanager
def _running(
    container: DockerContainer, port: int, url: str, greeting: bytes | None
) -> Iterator[Program]:
    program = ContainerProgram(
        [], port, url, Path("/dev/null"), container=container, greeting=greeting
    )
    program.start()
    try:
        yield program
    finally:
        container.stop()


def _speaks(port: int, greeting: bytes | None) -> bool:
    """Tell whether a server answers on a loopback port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            if greeting is not None:
                connection.sendall(greeting)
            return bool(connection.recv(1))
    except OSError:
        return False
