"""The gateway's listener, which whoever uploads talks to."""

import socket
from pathlib import Path

import pytest

from reelay.common.testing.servers import free_port
from reelay.standalone import ports
from reelay.standalone.settings import Settings


def queue_bytes(settings: Settings) -> int:
    """What the kernel keeps of a connection that nobody reads."""
    listener = ports.listen_publicly(settings)
    try:
        with socket.create_connection((settings.host, settings.port)):
            accepted, _ = listener.accept()
            with accepted:
                size: int = accepted.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
                return size
    finally:
        listener.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path, port=free_port(), host="127.0.0.1")


@pytest.mark.parametrize("allowed", [ports.QUEUE_BYTES, ports.QUEUE_BYTES - 1, None])
def test_queue_of_an_upload_is_bounded_where_that_slows_nobody(
    settings, tmp_path, monkeypatch, allowed
):
    monkeypatch.setattr(ports, "LONGEST_QUEUE", tmp_path / "rmem_max")
    if allowed is not None:
        ports.LONGEST_QUEUE.write_text(f"{allowed}\n")
    asked: list[int] = []

    class Listener(socket.socket):
        def setsockopt(self, level: int, name: int, value: int) -> None:
            if name == socket.SO_RCVBUF:
                asked.append(value)
            super().setsockopt(level, name, value)

    monkeypatch.setattr(ports.socket, "socket", Listener)
    assert queue_bytes(settings) > 0
    assert asked == ([ports.QUEUE_BYTES] if allowed == ports.QUEUE_BYTES else [])
