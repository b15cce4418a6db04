"""What `reelay up` prints and writes to its log files, for people or for log collectors."""

import contextlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TextIO

from reelay.standalone.logfile import LogFile
from reelay.standalone.loglines import Level, LogLine, Parser

LogFormat = Literal["text", "json"]

SELF = "reelay"
COLOURS = (36, 32, 35, 34, 96, 92, 95, 94)
LEVEL_COLOURS = {Level.WARNING: 33, Level.ERROR: 31}


class Console:
    """Shows lines of children with their names, and our own.

    Text shows warnings and errors only; the files have everything. JSON shows everything.
    """

    def __init__(
        self, form: LogFormat, out: TextIO, folder: Path, names: Iterable[str], *, colour: bool
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._form = form
        self._out = out
        self._names = [*names, SELF]
        self._width = max(len(name) for name in self._names)
        self._files = {name: LogFile(folder / f"{name}.log") for name in self._names}
        self._levels = dict.fromkeys(self._names, Level.INFO)
        self._colour = colour

    def child(self, name: str, raw: str, parse: Parser) -> None:
        """Take one line that a child wrote."""
        line = parse(raw)
        self._levels[name] = level = line.level or self._levels[name]
        moment = datetime.now(UTC)
        if self._form == "json":
            text = _json(name, level, line, moment)
            self._print(text)
        else:
            text = f"{moment:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + f"Z {_text(level, line)}"
            if level >= Level.WARNING:
                self._show(name, level, _text(level, line))
        self._files[name].write(text)

    def say(self, text: str, level: Level = Level.INFO, *, plain: bool = False) -> None:
        """Print one of our own lines; `plain` ones carry no name in text form."""
        moment = datetime.now(UTC)
        record = _json(SELF, level, LogLine(text), moment)
        if self._form == "json":
            self._print(record)
        elif plain:
            self._print(text)
        else:
            self._show(SELF, level, text)
        self._files[SELF].write(record if self._form == "json" else f"{moment:%FT%TZ} {text}")

    def path(self, name: str) -> Path:
        """Return where the lines of `name` are kept."""
        return self._files[name].path

    def close(self) -> None:
        for file in self._files.values():
            file.close()

    def _show(self, name: str, level: Level, text: str) -> None:
        label = self._paint(name.ljust(self._width), COLOURS[self._names.index(name) % 8])
        for line in text.splitlines() or [""]:
            painted = self._paint(line, LEVEL_COLOURS[level]) if level in LEVEL_COLOURS else line
            self._print(f"{label} │ {painted}")

    def _paint(self, text: str, colour: int) -> str:
        return f"\033[{colour}m{text}\033[0m" if self._colour else text

    def _print(self, text: str) -> None:
        # Nobody may be reading any more (a closed terminal, `| head`): what runs goes on.
        with contextlib.suppress(OSError, ValueError):
            self._out.write(text + "\n")
            self._out.flush()


def _text(level: Level, line: LogLine) -> str:
    name = f"{level.name.lower()}: " if level >= Level.WARNING else ""
    pairs = "".join(f" {key}={_value(value)}" for key, value in line.fields.items())
    return f"{name}{line.text}{pairs}" + (f"\n{line.traceback}" if line.traceback else "")


def _value(value: Any) -> str:
    return value if isinstance(value, str) and " " not in value else json.dumps(value)


def _json(name: str, level: Level, line: LogLine, moment: datetime) -> str:
    record = {
        "timestamp": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": level.name.lower(),
        "service": name,
        "event": line.text,
        **({"exception": line.traceback} if line.traceback else {}),
    }
    return json.dumps({**line.fields, **record}, ensure_ascii=False)
