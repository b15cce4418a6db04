"""Addresses on which something listens, and under which it is reached from this machine."""

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

LOOPBACK = "127.0.0.1"
EVERYWHERE = {"": LOOPBACK, "0.0.0.0": LOOPBACK, "::": "::1"}  # noqa: S104 (compared, not bound)
"""Addresses that mean all interfaces, and what reaches them from here."""


@dataclass(frozen=True)
class Endpoint:
    """An IP address and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return joined(self.host, self.port)

    @property
    def is_everywhere(self) -> bool:
        """Whether it means all interfaces, and so tells nobody else where to connect."""
        return self.host in EVERYWHERE

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        return ip_address(self.host).is_loopback


def joined(host: str, port: int) -> str:
    """Return `host:port` as URLs have it (RFC 3986, section 3.2.2)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def from_here(host: str) -> str:
    """Return how this machine reaches a listener on `host`."""
    return EVERYWHERE.get(host, host)


def parse_endpoint(text: str) -> Endpoint:
    """Return the endpoint that `10.0.0.5:4222` or `[fd00::5]:4222` names; raise ValueError."""
    parts = urlsplit(f"//{text}")
    host, port = parts.hostname or "", parts.port
    if "%" in host:
        raise ValueError("a zone means nothing to others")
    endpoint = Endpoint(str(ip_address(host)), port or 0)
    if not port or parts.netloc != text or parts.username is not None:
        raise ValueError("an address and a port from 1 to 65535 are needed, nothing else")
    return endpoint
