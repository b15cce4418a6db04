"""What the services' OpenAPI documents say beyond what FastAPI finds out by itself."""

from typing import Any

from pydantic import BaseModel

MEMBERS = {
    "type": {"type": "string", "description": "a stable name that programs may test"},
    "title": {"type": "string"},
    "status": {"type": "integer"},
    "detail": {"type": "string", "description": "a sentence for people"},
}
PROBLEM = {"type": "object", "properties": MEMBERS, "required": list(MEMBERS)}
"""A problem document (RFC 9457, section 3.1)."""
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {"application/problem+json": {"schema": PROBLEM}}}
    for status, text in (
        ("4XX", "The request cannot be followed; `detail` says why."),
        ("5XX", "A server that this service needs does not answer, or has no room."),
    )
}
"""What every operation may answer."""


def body_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return the description of a JSON body that an endpoint reads by itself."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})
    content = {"application/json": {"schema": _inlined(schema, definitions)}}
    return {"requestBody": {"required": True, "content": content}}


def content_of(
    media_type: str, description: str, status: int = 200
) -> dict[int | str, dict[str, Any]]:
    """Return the description of an answer that is no single JSON document."""
    content = {media_type: {"schema": {"type": "string"}}}
    return {status: {"description": description, "content": content}}


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """Return a schema with what its references name in their place: it has no root of its own."""
    if isinstance(schema, list):
        return [_inlined(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    named = definitions.get(str(schema.get("$ref", "")).removeprefix("#/$defs/"), {})
    others = {key: value for key, value in schema.items() if key != "$ref"}
    return {key: _inlined(value, definitions) for key, value in {**named, **others}.items()}
