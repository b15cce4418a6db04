"""The server's end of a stream, as the tests see it."""

from collections.abc import Generator

from reelay.content_api.entrypoints.protocol import ProtocolClosed


class FakeTransport:
    """Collects what it is given, until it is closed."""

    def __init__(self) -> None:
        self.content = bytearray()
        self.closed = False
        self.messages = 0

    def send_bytes(self, data: bytes) -> "Sent":
        self.messages += 1
        if not self.closed:
            self.content += data
        return Sent(self.closed)


class Sent:
    """What tells whether anybody reads."""

    def __init__(self, closed: bool) -> None:
        self._closed = closed

    def __await__(self) -> Generator[None, None, None]:
        if self._closed:
            raise ProtocolClosed
        return
        yield
