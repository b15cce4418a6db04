"""Names of viewers, from the heads of their requests."""

from dataclasses import dataclass, field

import pytest

from reelay.content_api.entrypoints.protocol import Scope
from reelay.content_api.entrypoints.viewers import viewer_of


class Fields:
    """Header fields."""

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        self._fields = fields

    def __contains__(self, key: str) -> bool:
        return bool(self.get_all(key))

    def get(self, key: str, default: str | None = None) -> str | None:
        return next(iter(self.get_all(key)), default)

    def get_all(self, key: str) -> list[str]:
        return [value for name, value in self._fields if name == key]


@dataclass
class Request:
    """A request's head."""

    client: str = "127.0.0.1:4711"
    headers: Fields = field(default_factory=lambda: Fields([]))
    method: str = "GET"
    path: str = "/"


def address(*forwarded: str, client: str = "127.0.0.1:4711") -> str:
    """Return the first half of the name."""
    scope: Scope = Request(client, Fields([("x-forwarded-for", value) for value in forwarded]))
    return viewer_of(scope).partition("-")[0]


def test_players_at_one_address_are_told_apart() -> None:
    names = [viewer_of(Request(headers=Fields([("user-agent", p)]))) for p in ("vlc", "mpv")]
    assert len(set(names)) == 2
    assert len({name.partition("-")[0] for name in names}) == 1


def test_ports_of_a_client_make_no_difference() -> None:
    assert address(client="192.0.2.1:1000") == address(client="192.0.2.1:2000")
    assert address(client="192.0.2.1:1000") != address(client="192.0.2.2:1000")
    assert address(client="[2001:db8::1]:1000") == address(client="[2001:db8::1]:2000")


def test_whom_the_gateway_saw_counts_before_the_gateway() -> None:
    assert address("192.0.2.1") == address(client="192.0.2.1:1")
    assert address("") == address()


def test_what_a_client_says_before_the_nearest_proxy_does_not_count() -> None:
    assert address("10.1.1.1, 192.0.2.1") == address("192.0.2.1")
    assert address("10.1.1.2,192.0.2.1") == address("192.0.2.1")
    assert address("10.1.1.3", "192.0.2.1") == address("192.0.2.1")


@pytest.mark.parametrize("client", ["", "[2001:db8:1:2:a:b:c:d]:4711"])
def test_addresses_of_one_ipv6_network_are_one(client: str) -> None:
    one = address(client=client) if client else address("2001:db8:1:2:a:b:c:d")
    assert one == address("2001:db8:1:2::1")
    assert one == address("2001:0DB8:0001:0002:ffff:ffff:ffff:ffff")
    assert one != address("2001:db8:1:3::1")


def test_ipv4_seen_by_a_listener_for_both_kinds_is_no_network() -> None:
    assert address(client="[::ffff:192.0.2.1]:1") == address("192.0.2.1")
    assert address(client="[::ffff:192.0.2.1]:1") != address(client="[::ffff:192.0.2.2]:1")


def test_ports_that_a_proxy_tells_make_no_difference() -> None:
    assert address("192.0.2.1:1000") == address("192.0.2.1:2000") == address("192.0.2.1")
    assert address("[2001:db8::1]:1000") == address("2001:db8::1")


def test_senders_that_a_proxy_calls_something_else_are_told_apart() -> None:
    assert address("unknown") != address("_hidden")
