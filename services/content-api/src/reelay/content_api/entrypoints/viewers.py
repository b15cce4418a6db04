"""Tells viewers apart, so that they take turns. The names are told, and kept for seconds only."""

import hashlib
from ipaddress import IPv6Address, ip_address

from reelay.content_api.entrypoints.protocol import Scope

NAME_CHARS = 12
HOST_BITS = 64
"""The part of an IPv6 address that a host chooses freely (RFC 4291, section 2.5.4)."""


def viewer_of(scope: Scope) -> str:
    """Return a name for the sender of a request: of its address, a dash, and of its player.

    Both count: several may share an address, and nobody gets more by calling a player many names.
    Of an IPv6 address the network counts, or each host would have as many as it likes.
    """
    player = scope.headers.get("user-agent", "")
    return f"{_name(_network(_address(scope)))}-{_name(player)}"


def _address(scope: Scope) -> str:
    # The last is whom the nearest proxy saw; those before it are what it was told.
    forwarded = ",".join(scope.headers.get_all("x-forwarded-for")).rpartition(",")[2].strip()
    return forwarded or scope.client.rpartition(":")[0]


def _network(address: str) -> str:
    try:
        ip = ip_address(_without_port(address))
    except ValueError:
        return address  # of a proxy that does not tell addresses, but tells senders apart
    if not isinstance(ip, IPv6Address):
        return str(ip)
    # What a listener for both kinds sees of IPv4 is all in one network.
    return str(ip.ipv4_mapped or int(ip) >> HOST_BITS)


def _without_port(address: str) -> str:
    """Return an address without the port and the brackets that a proxy may tell with it."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address


def _name(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:NAME_CHARS]
