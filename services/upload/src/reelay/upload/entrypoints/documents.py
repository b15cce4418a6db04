"""What the OpenAPI document says of tus, whose requests are headers and bytes."""

from typing import Any

from reelay.upload.entrypoints.tus import CONTENT_TYPE, VERSION

NUMBER = {"type": "integer", "minimum": 0}
TEXT = {"type": "string"}


def _header(name: str, schema: dict[str, Any], text: str, *, required: bool = False) -> Any:
    """Return the description of a header (tus 1.0, section Headers)."""
    about = {"description": text, "required": required, "schema": schema}
    return {"name": name, "in": "header", **about}


PROTOCOL = [
    _header("Tus-Resumable", {"const": VERSION}, "the protocol's version", required=True),
    _header("Authorization", TEXT, "a bearer token"),
]
CHECKSUM = _header("Upload-Checksum", TEXT, "`sha1` or `sha256`, a space, and the base64 digest")
BYTES = {"content": {CONTENT_TYPE: {"schema": {"type": "string", "format": "binary"}}}}

LOOK: dict[str, Any] = {"parameters": PROTOCOL}
CREATION: dict[str, Any] = {
    "parameters": [
        *PROTOCOL,
        _header("Upload-Length", NUMBER, "bytes of the file"),
        _header("Upload-Defer-Length", {"const": "1"}, "instead of it, when it is not known yet"),
        _header("Upload-Metadata", TEXT, "pairs of a key and a base64 value, separated by commas"),
        _header("Upload-Concat", TEXT, "`partial`, or `final;` and the paths of partial uploads"),
        CHECKSUM,
    ],
    "requestBody": {**BYTES, "description": "the first bytes, or none"},
}
SENDING: dict[str, Any] = {
    "parameters": [
        *PROTOCOL,
        _header("Upload-Offset", NUMBER, "where these bytes belong", required=True),
        _header("Upload-Length", NUMBER, "bytes of the file, if that was deferred"),
        CHECKSUM,
    ],
    "requestBody": BYTES,
}
