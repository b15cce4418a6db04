"""Answers that no shared cache may keep (RFC 9111, section 5.2.2.7)."""

from collections.abc import Awaitable

from reelay.content_api.entrypoints.protocol import Fields, HTTPProtocol, Transport
from reelay.content_api.entrypoints.responses import IMMUTABLE

PRIVATE = ("cache-control", IMMUTABLE[1].replace("public", "private"))


class Confidential:
    """A protocol whose answers are for the one who asked, whatever else they are."""

    def __init__(self, proto: HTTPProtocol) -> None:
        self._proto = proto

    def client_disconnect(self) -> Awaitable[None]:
        """See HTTPProtocol."""
        return self._proto.client_disconnect()

    def response_empty(self, status: int, headers: Fields) -> None:
        """See HTTPProtocol."""
        self._proto.response_empty(status, _private(headers))

    def response_bytes(self, status: int, headers: Fields, body: bytes) -> None:
        """See HTTPProtocol."""
        self._proto.response_bytes(status, _private(headers), body)

    def response_stream(self, status: int, headers: Fields) -> Transport:
        """See HTTPProtocol."""
        return self._proto.response_stream(status, _private(headers))

    def response_file(self, status: int, headers: Fields, file: str) -> None:
        """See HTTPProtocol."""
        self._proto.response_file(status, _private(headers), file)

    def response_file_range(
        self, status: int, headers: Fields, file: str, start: int, end: int
    ) -> None:
        """See HTTPProtocol."""
        self._proto.response_file_range(status, _private(headers), file, start, end)


def _private(headers: Fields) -> Fields:
    return [PRIVATE if field == IMMUTABLE else field for field in headers]
