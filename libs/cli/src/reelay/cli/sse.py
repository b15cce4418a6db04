"""Parser of server-sent events (WHATWG HTML Living Standard, section 9.2.6)."""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class ServerEvent:
    """One event of a stream."""

    kind: str
    data: str
    last_id: str = ""


class EventParser:
    """Turns a byte stream, cut anywhere, into events; an unfinished one at its end is dropped."""

    def __init__(self) -> None:
        # 'utf-8-sig' drops one leading byte order mark, as the standard asks.
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
        self._rest = ""
        self._after_return = False
        self._kind = ""
        self._data: list[str] = []
        self._last_id = ""

    def feed(self, chunk: bytes) -> Iterator[ServerEvent]:
        """Yield the events that `chunk` completes."""
        for line in self._lines(self._decoder.decode(chunk)):
            event = self._take(line)
            if event is not None:
                yield event

    def _lines(self, text: str) -> Iterator[str]:
        # A line ends with \n, \r or \r\n, and the \n of the last may come in the next chunk.
        if self._after_return and text:
            text = text.removeprefix("\n")
            self._after_return = False
        if text.endswith("\r"):
            self._after_return = True
        text = self._rest + text.replace("\r\n", "\n").replace("\r", "\n")
        *lines, self._rest = text.split("\n")
        return iter(lines)

    def _take(self, line: str) -> ServerEvent | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._kind = value
        elif name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self._last_id = value
        return None

    def _dispatch(self) -> ServerEvent | None:
        kind, data = self._kind or "message", self._data
        self._kind, self._data = "", []
        return ServerEvent(kind, "\n".join(data), self._last_id) if data else None
