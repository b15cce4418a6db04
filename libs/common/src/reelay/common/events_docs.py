"""Writes docs/events.md and the JSON Schemas: `python -m reelay.common.events_docs docs`."""

import json
import sys
from pathlib import Path
from typing import Any

from reelay.common.commands import COMMANDS
from reelay.common.content_access import AllAccessTold, ContentAccessChanged
from reelay.common.events import EVENTS
from reelay.common.message import Message
from reelay.common.streams import STREAMS

STATES: tuple[type[Message], ...] = (ContentAccessChanged, AllAccessTold)
"""Messages of which the last one on each subject is kept."""

INTRODUCTION = """\
# Events

Generated from `reelay.common.events` by `make events`; do not edit.

Facts are kept for seven days in the JetStream stream `EVENTS`. They are CloudEvents 1.0 in binary
mode: attributes in `ce-*` headers, the data as JSON body, `traceparent` beside them. `ce-type` is
`reelay.<name>.v<version>`; fields are only ever added within a version. A fact may arrive twice:
be idempotent by a key of your own. The JSON Schemas are in `docs/schemas/`.
"""


def markdown() -> str:
    """Return the content of docs/events.md."""
    parts = [INTRODUCTION, "## Streams\n", "| stream | subjects | holds |", "|---|---|---|"]
    parts += [f"| `{s.name}` | `{' '.join(s.subjects or [])}` | {s.description} |" for s in STREAMS]
    parts += ["", "## Facts\n"]
    parts += [_section(event) for event in EVENTS]
    parts += ["## States\n", *map(_section, STATES), "## Commands and plain messages\n"]
    parts += [_section(command) for command in COMMANDS]
    return "\n".join(parts).rstrip() + "\n"


def schemas() -> dict[str, str]:
    """Return file name → JSON Schema (draft 2020-12) of every message."""
    return {
        f"{message.__name__}.v{message.version}.json": json.dumps(
            message.model_json_schema(), indent=2, sort_keys=True
        )
        + "\n"
        for message in (*EVENTS, *STATES, *COMMANDS)
    }


def write(folder: Path) -> None:
    """Write everything below `folder`; schemas of messages that are gone are removed."""
    (folder / "schemas").mkdir(parents=True, exist_ok=True)
    (folder / "events.md").write_text(markdown())
    for stale in (folder / "schemas").glob("*.json"):
        stale.unlink()
    for name, schema in schemas().items():
        (folder / "schemas" / name).write_text(schema)


def _section(message: type[Message]) -> str:
    rows = [
        f"| `{name}` | {_kind(field)} | {field.get('description', '')} |"
        for name, field in message.model_json_schema()["properties"].items()
    ]
    heading = [f"### {message.__name__}\n", f"`{message.subject}` · `{message.ce_type()}`\n"]
    text = " ".join((message.__doc__ or "").split())
    return "\n".join([*heading, text, "", "| field | type | |", "|---|---|---|", *rows, ""])


def _kind(field: dict[str, Any]) -> str:
    if "$ref" in field:
        return str(field["$ref"]).rsplit("/", 1)[-1]
    if "anyOf" in field:
        return " or ".join(_kind(option) for option in field["anyOf"])
    if field.get("type") == "array":
        return f"list of {_kind(field.get('items', {}))}"
    return str(field.get("format") or field.get("type", "any"))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
