"""Understands the log lines of services, NATS, PostgreSQL and Caddy."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any


class Level(IntEnum):
    """Severity, as in Python's logging."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


@dataclass(frozen=True)
class LogLine:
    """What one line of a child says."""

    text: str
    level: Level | None = None
    """None: the line continues the one before."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """The further members of a structured line."""
    traceback: str = ""


Parser = Callable[[str], LogLine]

LEVELS = {
    "debug": Level.DEBUG, "info": Level.INFO, "notice": Level.INFO, "warn": Level.WARNING,
    "warning": Level.WARNING, "error": Level.ERROR, "critical": Level.ERROR, "fatal": Level.ERROR,
    "panic": Level.ERROR,
}  # fmt: skip
NATS_LINE = re.compile(r"^\[\d+\] (?:\S+ \S+ )?\[(\w{3})\] (.*)$")
NATS_LEVELS = {"TRC": Level.DEBUG, "DBG": Level.DEBUG, "INF": Level.INFO, "WRN": Level.WARNING}
POSTGRES_LINE = re.compile(r"^(DEBUG\d?|LOG|INFO|NOTICE|WARNING|ERROR|FATAL|PANIC):  (.*)$")
# An ERROR is a statement that failed: its client knows, and whether it matters.
POSTGRES_LEVELS = {"WARNING": Level.WARNING, "FATAL": Level.WARNING, "PANIC": Level.ERROR}
ROUTINE = (
    "Plaintext passwords detected",
    "admin endpoint disabled",
    "exiting; byeee!!",
    "the database system is starting up",
    "aborting with incomplete response",  # A viewer left.
    "terminating connection due to administrator command",
)
"""Warnings that a healthy instance produces."""


def structured(line: str, *, otherwise: Level = Level.WARNING) -> LogLine:
    """Read a JSON line of structlog or Caddy.

    What is not JSON was not written by the logger (a crash before it was set up): it matters.
    """
    try:
        members = json.loads(line) if line.startswith("{") else None
    except ValueError:
        members = None
    if not isinstance(members, dict):
        return LogLine(line, otherwise)
    text = str(members.pop("event", None) or members.pop("msg", ""))
    level = LEVELS.get(str(members.pop("level", "info")).lower(), Level.INFO)
    traceback = str(members.pop("exception", ""))
    for time in ("timestamp", "ts", "service"):
        members.pop(time, None)
    if isinstance(request := members.get("request"), dict):  # Caddy's, with all its headers
        members["request"] = f"{request.get('method')} {request.get('uri')}"
    return LogLine(text, _calm(level, text), members, traceback)


def nats(line: str) -> LogLine:
    """Read `[pid] date time [INF] text`."""
    match = NATS_LINE.match(line)
    if not match:
        return LogLine(line)
    return LogLine(match[2], _calm(NATS_LEVELS.get(match[1], Level.ERROR), match[2]))


def postgres(line: str) -> LogLine:
    """Read `LOG:  text`; DETAIL, HINT, STATEMENT and indented lines continue it."""
    match = POSTGRES_LINE.match(line)
    if not match:
        return LogLine(line)
    return LogLine(match[2], _calm(POSTGRES_LEVELS.get(match[1], Level.INFO), match[2]))


def _calm(level: Level, text: str) -> Level:
    return Level.INFO if any(phrase in text for phrase in ROUTINE) else level
