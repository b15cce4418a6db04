"""What holds of every answer of every service; schemathesis loads it (SCHEMATHESIS_HOOKS)."""

from typing import Any

import schemathesis

PROBLEM = ["application/problem+json"]


@schemathesis.check
def refusals_are_problems(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case[Any]
) -> None:
    """Refusals are problem documents (RFC 9457) that tell a person what is wrong."""
    if response.status_code < 400 or response.request.method == "HEAD":
        return
    assert response.headers.get("content-type") == PROBLEM, "no problem document"
    document = response.json()
    assert document["status"] == response.status_code
    assert document["detail"]


@schemathesis.serializer("application/offset+octet-stream")
def send_bytes(ctx: schemathesis.SerializationContext, value: Any) -> bytes:
    """Send bytes of an upload as they are."""
    return value if isinstance(value, bytes) else str(value).encode()
