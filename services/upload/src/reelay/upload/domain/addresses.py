"""Which addresses of the network an import may connect to: public ones, and those a setting names.

Whoever may import could else make the service speak to servers that only it can reach (server-side
request forgery): its database, its neighbours, the cloud's metadata address.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from reelay.upload.domain.remote import PrivateAddressError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

UNICAST = IPv6Network("2000::/3")
"""All that is given to hosts of the Internet (RFC 4291, 2.4); whatever carries IPv4 addresses in a
prefix of its own (NAT64, RFC 6052; SIIT, RFC 7915) lies outside."""
NEVER: tuple[Network, ...] = (
    IPv4Network("192.0.0.0/24"),  # protocol assignments (RFC 6890)
    IPv4Network("192.88.99.0/24"),  # 6to4 relays (RFC 7526)
    IPv6Network("2001::/23"),  # protocol assignments (RFC 2928), with Teredo (RFC 4380)
    IPv6Network("2001:db8::/32"),  # documentation (RFC 3849)
    IPv6Network("2002::/16"),  # 6to4 (RFC 3056)
    IPv6Network("3fff::/20"),  # documentation (RFC 9637)
)
"""Not public, whatever the tables of this Python version say."""


@dataclass(frozen=True)
class AddressGuard:
    """Says which addresses may be connected to."""

    allowed: Sequence[Network] = ()
    """Networks that are allowed whatever they are."""

    def check(self, text: str) -> str:
        """Return the address as numbers; raise PrivateAddressError unless it may be used."""
        address = _plain(ip_address(text))
        if not any(address in network for network in self.allowed) and not is_public(address):
            raise PrivateAddressError  # without the address: names inside are nobody's business
        return str(address)


def is_public(address: Address) -> bool:
    """Tell whether anybody on the Internet can reach this address and it is one host's."""
    if isinstance(address, IPv6Address) and address not in UNICAST:
        return False
    special = (
        any(address in network for network in NEVER)
        or address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_reserved
        or address.is_unspecified
    )
    return address.is_global and not special


def _plain(address: Address) -> Address:
    """Return the IPv4 address that an IPv4-mapped one stands for (RFC 4291, 2.5.5.2)."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
