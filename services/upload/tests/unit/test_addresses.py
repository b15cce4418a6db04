"""Files are fetched from public addresses, and from networks that a setting names."""

from ipaddress import ip_network

import pytest

from reelay.upload.domain.addresses import AddressGuard
from reelay.upload.domain.remote import PrivateAddressError


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:0:7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:a9fe:a9fe",
        "64:ff9b::7f00:1",
        "64:ff9b::808:808",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "2002:808:808::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
    ],
)
def test_address_that_is_not_public_is_refused(address: str) -> None:
    with pytest.raises(PrivateAddressError) as refusal:
        AddressGuard().check(address)
    assert address not in refusal.value.detail


@pytest.mark.parametrize(
    ("address", "connected_to"),
    [
        ("8.8.8.8", "8.8.8.8"),
        ("100.128.0.1", "100.128.0.1"),
        ("172.32.0.1", "172.32.0.1"),
        ("::ffff:8.8.8.8", "8.8.8.8"),
        ("2606:4700::1111", "2606:4700::1111"),
    ],
)
def test_public_address_is_connected_to_by_number(address: str, connected_to: str) -> None:
    assert AddressGuard().check(address) == connected_to


def test_network_of_the_setting_is_allowed_and_no_other() -> None:
    guard = AddressGuard((ip_network("127.0.0.1/32"), ip_network("fd00:1::/32")))
    assert guard.check("127.0.0.1") == "127.0.0.1"
    assert guard.check("::ffff:127.0.0.1") == "127.0.0.1"
    assert guard.check("fd00:1::7") == "fd00:1::7"
    for address in ("127.0.0.2", "fd00:2::7", "::1", "64:ff9b::7f00:1"):
        with pytest.raises(PrivateAddressError):
            guard.check(address)
