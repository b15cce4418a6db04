"""The parts of RSGI that are used here (Granian ships no usable types for them)."""

from collections.abc import Awaitable
from typing import Any, Protocol

from granian.rsgi import ProtocolClosed as ProtocolClosed  # type: ignore[attr-defined]  # it is

Fields = list[tuple[str, str]]


class Headers(Protocol):
    """The header fields of a request; names in lower case."""

    def __contains__(self, key: str) -> bool: ...

    def get(self, key: str, default: Any = None) -> Any:
        """Return the first field's value."""
        ...

    def get_all(self, key: str) -> list[str]:
        """Return the values of all fields of this name."""
        ...


class Scope(Protocol):
    """A request."""

    @property
    def method(self) -> str: ...

    @property
    def client(self) -> str:
        """Address and port of whoever connected."""
        ...

    @property
    def path(self) -> str:
        """Percent-decoded once; bytes that are no UTF-8 became U+FFFD."""
        ...

    @property
    def headers(self) -> Headers: ...


class Transport(Protocol):
    """A body under way."""

    def send_bytes(self, data: bytes) -> Awaitable[None]:
        """Add to the body, without limit and at once; awaiting tells whether anybody reads it.

        Raises ProtocolClosed when nothing more is wanted.
        """
        ...


class HTTPProtocol(Protocol):
    """How a request is answered: by one `response_…` call.

    A file is opened after the call returned, and answered with 404 when it is gone by then.
    """

    def client_disconnect(self) -> Awaitable[None]:
        """Return when the client went away."""
        ...

    def response_empty(self, status: int, headers: Fields) -> None: ...

    def response_bytes(self, status: int, headers: Fields, body: bytes) -> None: ...

    def response_stream(self, status: int, headers: Fields) -> Transport: ...

    def response_file(self, status: int, headers: Fields, file: str) -> None: ...

    def response_file_range(
        self, status: int, headers: Fields, file: str, start: int, end: int
    ) -> None: ...
