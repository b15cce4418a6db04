"""The map of `reelay watch` in a terminal."""

import os
import signal
import termios

import pytest

from ..watch_samples import stored
from .watching import CONTENT, ENTER, FAILED, INDEX, LEAVE

pytestmark = pytest.mark.integration


async def test_terminal_is_left_as_it_was_when_q_is_pressed(terminal, packager) -> None:
    await packager.publish(stored(("720p", 1, 4)))
    screen = terminal()
    assert ENTER in screen.read_until("leaves")
    os.write(screen.master, b"xq")
    left = screen.read_until("4/6")
    assert LEAVE in left
    assert screen.process.wait(20) == 0
    assert termios.tcgetattr(screen.slave) == screen.before


async def test_terminal_keeps_the_final_map_when_the_package_fails(terminal, packager) -> None:
    screen = terminal()
    screen.read_until("leaves")
    await packager.publish(FAILED)
    assert "failed" in screen.read_until("reelay: The disk is full.")
    assert screen.process.wait(20) == 1
    assert termios.tcgetattr(screen.slave) == screen.before


async def test_new_size_of_the_terminal_is_drawn_at_once(terminal, packager) -> None:
    screen = terminal()
    assert "0/6" in screen.read_until("leaves")
    termios.tcsetwinsize(screen.slave, (20, 50))
    screen.process.send_signal(signal.SIGWINCH)
    drawn = screen.read_until("leaves")
    assert "0/6" not in drawn


async def test_complete_package_is_printed_without_a_second_screen(terminal, pages) -> None:
    pages[f"{CONTENT}/index.json"] = INDEX
    screen = terminal()
    drawn = screen.read_until("promised")
    assert ENTER not in drawn
    assert screen.process.wait(20) == 0
