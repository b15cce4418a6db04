"""Tells viewers apart, so that they take turns; says nothing about who they are."""

import hashlib

from reelay.content_api.entrypoints.protocol import Scope

NAME_CHARS = 16


def viewer_of(scope: Scope) -> str:
    """Return a name for the sender of a request, made of its address and its player."""
    address = scope.headers.get("x-forwarded-for") or scope.client.rpartition(":")[0]
    player = scope.headers.get("user-agent", "")
    return hashlib.sha256(f"{address}\n{player}".encode()).hexdigest()[:NAME_CHARS]
