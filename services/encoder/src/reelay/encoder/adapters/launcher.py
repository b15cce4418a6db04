"""How a program is started so that it dies with the encoder."""

import functools
import shutil
import signal
import subprocess
from collections.abc import Sequence

from reelay.common import child


def dying_with_us(argv: Sequence[str]) -> list[str]:
    """Return the command line that runs `argv` so that it gets SIGKILL with our death.

    util-linux' `setpriv` needs a millisecond for that, our own launcher, a Python, 40.
    """
    if (setpriv := _setpriv()) is None:
        return child.command(argv, death_signal=signal.SIGKILL)
    return [setpriv, "--pdeathsig", "KILL", "--", *argv]


@functools.cache
def _setpriv() -> str | None:
    """Return the path of a `setpriv` that knows the parent's death (BusyBox' does not)."""
    program = shutil.which("setpriv")
    if program is None:
        return None
    trial = [program, "--pdeathsig", "KILL", "--", program, "--help"]
    done = subprocess.run(trial, capture_output=True, check=False)
    return program if done.returncode == 0 else None
