"""Tells viewers apart, so that they take turns; the names are told to packagers, and never kept."""

import hashlib

from reelay.content_api.entrypoints.protocol import Scope

NAME_CHARS = 12


def viewer_of(scope: Scope) -> str:
    """Return a name for the sender of a request: of its address, a dash, and of its player.

    Both count: several may share an address, and nobody gets more by calling a player many names.
    """
    address = scope.headers.get("x-forwarded-for") or scope.client.rpartition(":")[0]
    return f"{_name(address)}-{_name(scope.headers.get('user-agent', ''))}"


def _name(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:NAME_CHARS]
