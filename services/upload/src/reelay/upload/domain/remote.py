"""What is fetched from other servers, and what can be wrong with them."""

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Protocol
from urllib.parse import unquote, urljoin, urlsplit

from reelay.common.errors import TransientError, UnprocessableError
from reelay.upload.domain.metadata import clean_filename

MAX_URL_CHARS = 4096
WEB_PORTS = (80, 443)
FIRST_FREE_PORT = 1024
CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)")


class UrlNotAllowedError(UnprocessableError):
    """Only http and https URLs can be imported, without a name and password in them."""

    problem = "url-not-allowed"


class PrivateAddressError(UnprocessableError):
    """Files are imported from public addresses only."""

    problem = "private-address"


class RedirectsError(UnprocessableError):
    """The server sends from one address to the next without end."""

    problem = "too-many-redirects"


class RefusedByServerError(UnprocessableError):
    """The server does not give this file."""

    problem = "server-refuses"


class FileChangedError(UnprocessableError):
    """The file changed on its server while it was imported; import it again."""

    problem = "file-changed"


class UnusableAnswerError(UnprocessableError):
    """The server's answer is not one that a file can be taken from."""

    problem = "unusable-answer"


class TooSlowError(UnprocessableError):
    """The server sends too slowly."""

    problem = "too-slow"


class RemoteError(TransientError):
    """The server does not answer, or broke off; it may work later."""

    problem = "server-unavailable"


class StalledError(RemoteError):
    """The server sends nothing, or next to nothing."""

    problem = "too-slow"


class UnusableRangeError(RemoteError):
    """The server cannot go on where it broke off; the next try reads from the beginning."""

    problem = "unusable-answer"


@dataclass(frozen=True)
class Place:
    """An absolute http(s) URL, taken apart."""

    url: str
    tls: bool
    host: str
    port: int

    @property
    def filename(self) -> str | None:
        """The last name in its path."""
        return clean_filename(unquote(urlsplit(self.url).path))

    def joined(self, location: str) -> "Place":
        """Return where a `Location` header points (RFC 9110, section 10.2.2)."""
        try:
            url = urljoin(self.url, location)
        except ValueError as error:
            raise UrlNotAllowedError("The server sends to what is no URL.") from error
        return parse_url(url)


def parse_url(url: str) -> Place:
    """Take a URL apart; raise UrlNotAllowedError unless a file may be behind it."""
    if len(url) > MAX_URL_CHARS or not url.isascii() or not url.isprintable() or " " in url:
        raise UrlNotAllowedError("This URL is too long, or not percent-encoded (RFC 3986).")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UrlNotAllowedError("This is no URL.") from error
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc:
        raise UrlNotAllowedError
    tls = parts.scheme == "https"
    port = (443 if tls else 80) if port is None else port
    if port not in WEB_PORTS and port < FIRST_FREE_PORT:
        raise UrlNotAllowedError(f"Port {port} is not one that files are fetched from.")
    return Place(url, tls, host, port)


class Resolver(Protocol):
    """Names to addresses."""

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """Return the numeric addresses of a host; raise RemoteError when it has none."""
        ...


class Answer(Protocol):
    """A server's answer to GET."""

    @property
    def status(self) -> int:
        """The status code."""
        ...

    @property
    def headers(self) -> dict[str, str]:
        """The header fields; names in lower case."""
        ...

    def blocks(self) -> AsyncIterator[bytes]:
        """Yield the content; raise RemoteError when it breaks off before its end."""
        ...

    async def close(self) -> None:
        """Give the connection up."""
        ...


class Fetcher(Protocol):
    """Speaks to other servers."""

    async def fetch(self, place: Place, headers: dict[str, str]) -> Answer:
        """Return the answer of a server, after redirects, whatever its status; to be closed.

        Raises RemoteError, PrivateAddressError, UrlNotAllowedError, RedirectsError.
        """
        ...


def strong_validator(headers: dict[str, str]) -> str | None:
    """Return what If-Range may say of this representation (RFC 9110, sections 8.8 and 13.1.5)."""
    etag = headers.get("etag", "")
    if etag.startswith('"'):
        return etag
    modified, date = headers.get("last-modified"), headers.get("date")
    if etag or modified is None or date is None:
        return None
    try:
        age = parsedate_to_datetime(date) - parsedate_to_datetime(modified)
    except (ValueError, TypeError):
        return None
    return modified if age.total_seconds() >= 1 else None


def content_range(headers: dict[str, str]) -> tuple[int, int | None] | None:
    """Return the first byte and the whole size of a partial answer (RFC 9110, section 14.4)."""
    found = CONTENT_RANGE.fullmatch(headers.get("content-range", ""))
    if found is None:
        return None
    first, last, size = found.groups()
    if int(last) < int(first) or (size != "*" and int(size) != int(last) + 1):
        return None
    return int(first), None if size == "*" else int(size)
