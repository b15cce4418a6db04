"""The test servers from images instead of wheels, where a Docker engine answers."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testcontainers.core.container import DockerContainer

from reelay.common.testing.servers import Program, answers, free_port, wait_until

NATS_IMAGE = "nats:2.12-alpine"
POSTGRES_IMAGE = "postgres:18-alpine"


@dataclass
class ContainerProgram(Program):
    """A server in a container, with the same handles as one that runs as a process."""

    container: DockerContainer | None = None

    def start(self) -> None:
        """Start it, or start it again on the same data and port."""
        assert self.container is not None
        if self.container.get_wrapped_container() is None:
            self.container.start()
        else:
            self.container.get_wrapped_container().start()
        wait_until(lambda: answers(self.port), f"the container listens on {self.port}")

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
    with _running(container, port, f"nats://127.0.0.1:{port}") as program:
        yield program


@contextmanager
def postgres_container() -> Iterator[Program]:
    """Run a PostgreSQL server from its image."""
    port = free_port()
    container = (
        DockerContainer(POSTGRES_IMAGE)
        .with_env("POSTGRES_HOST_AUTH_METHOD", "trust")
        .with_bind_ports(5432, port)
    )
    with _running(container, port, f"postgresql://postgres@127.0.0.1:{port}") as program:
        yield program


@contextmanager
def _running(container: DockerContainer, port: int, url: str) -> Iterator[Program]:
    program = ContainerProgram([], port, url, Path("/dev/null"), container=container)
    program.start()
    try:
        yield program
    finally:
        container.stop()
