"""How `reelay watch` shows a map: on a terminal that is drawn anew, or as lines of JSON."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from typing import Protocol, TextIO

from rich.console import Console
from rich.live import Live

from reelay.cli.api import Video
from reelay.cli.watch_lines import changes
from reelay.cli.watch_map import PackageMap
from reelay.cli.watch_view import draw

LEAVE = b"qQ"


class Display(Protocol):
    """Shows one package."""

    def waiting(self, video: Video) -> None:
        """Tell that there is no map yet."""
        ...

    def failed(self, video: Video) -> None:
        """Tell that there will be no map; a person reads the reason elsewhere."""
        ...

    def show(self, known: PackageMap, *, final: bool) -> None:
        """Show the map as it is now; the final one is closed next."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was, with the last map in its scrollback."""
        ...


class Lines:
    """One JSON object per line for each change."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._shown: PackageMap | None = None
        self._state = ""

    def waiting(self, video: Video) -> None:
        """See Display."""
        if video.state != self._state:
            self._state = video.state
            self._write({"event": "waiting", "video_id": video.id, "state": video.state})

    def failed(self, video: Video) -> None:
        """See Display."""
        self._write({"event": "failed", "video_id": video.id, "reason": video.reason})

    def show(self, known: PackageMap, *, final: bool) -> None:
        """See Display."""
        for change in changes(self._shown, known):
            self._write(change)
        self._shown = known

    def close(self) -> None:
        """Do nothing: a line is finished when it is written."""

    def _write(self, members: dict[str, object]) -> None:
        self._out.write(json.dumps(members) + "\n")
        self._out.flush()


class Screen:
    """The terminal's second screen, as editors use it: it is painted over, never cleared."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, screen=True, auto_refresh=False)
        self._shown: PackageMap | None = None
        self._state = ""

    def waiting(self, video: Video) -> None:
        """See Display."""
        if video.state != self._state:
            self._state = video.state
            self._console.print(
                f"{video.title or video.id}: {video.state}; the map begins with the plan "
                "(q or Ctrl-C leaves)",
                markup=False,
                highlight=False,
            )

    def failed(self, video: Video) -> None:
        """Say nothing: the sentence goes to standard error."""

    def show(self, known: PackageMap, *, final: bool) -> None:
        """See Display."""
        self._shown = known
        if final:
            return
        self._live.start()
        width, height = self._console.size
        ascii_only = self._console.options.ascii_only
        self._live.update(draw(known, width, height, ascii_only=ascii_only), refresh=True)

    def close(self) -> None:
        """See Display."""
        self._live.stop()
        if self._shown is not None:
            ascii_only = self._console.options.ascii_only
            self._console.print(
                draw(self._shown, self._console.width, keys=False, ascii_only=ascii_only)
            )


@contextlib.contextmanager
def attended(leave: Callable[[], object], redraw: Callable[[], None]) -> Iterator[None]:
    """Call `leave` when somebody presses q or ends the process, `redraw` when the size changes."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGWINCH, redraw)
    loop.add_signal_handler(signal.SIGTERM, leave)
    try:
        with _keys(loop, leave):
            yield
    finally:
        loop.remove_signal_handler(signal.SIGWINCH)
        loop.remove_signal_handler(signal.SIGTERM)


@contextlib.contextmanager
def _keys(loop: asyncio.AbstractEventLoop, leave: Callable[[], object]) -> Iterator[None]:
    if not sys.stdin.isatty():
        yield
        return
    terminal = sys.stdin.fileno()

    def on_key() -> None:
        """Read what was pressed; leave for a key that says so."""
        pressed = os.read(terminal, 64)
        if not pressed:
            loop.remove_reader(terminal)
        elif any(key in LEAVE for key in pressed):
            leave()

    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal)
    loop.add_reader(terminal, on_key)
    try:
        yield
    finally:
        loop.remove_reader(terminal)
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
