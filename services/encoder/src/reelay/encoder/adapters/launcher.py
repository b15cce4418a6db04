"""How a program is started: it dies with the encoder, and has its limits from the beginning."""

import functools
import resource
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence

from reelay.common import child

OPTIONS = {
    resource.RLIMIT_AS: "--as",
    resource.RLIMIT_CORE: "--core",
    resource.RLIMIT_FSIZE: "--fsize",
    resource.RLIMIT_NOFILE: "--nofile",
}
"""What util-linux' `prlimit` calls the limits."""
NO_LIMITS: Mapping[int, int] = {}


def restrained(argv: Sequence[str], limits: Mapping[int, int] = NO_LIMITS) -> list[str]:
    """Return the command line that runs `argv` within `limits`, to get SIGKILL with our death.

    `limits` is by RLIMIT number, as in OPTIONS. The two programs of util-linux need some
    milliseconds for that, our own launcher, a Python, 40.
    """
    if (programs := _util_linux()) is None:
        return child.command(argv, death_signal=signal.SIGKILL, limits=limits)
    prlimit, setpriv = programs
    options = [f"{OPTIONS[number]}={limit}" for number, limit in limits.items()]
    limited = [prlimit, *options, "--"] if options else []
    return [*limited, setpriv, "--pdeathsig", "KILL", "--", *argv]


@functools.cache
def _util_linux() -> tuple[str, str] | None:
    """Return the paths of `prlimit` and a `setpriv` that knows of deaths (BusyBox' does not)."""
    prlimit, setpriv = shutil.which("prlimit"), shutil.which("setpriv")
    if prlimit is None or setpriv is None:
        return None
    trial = [prlimit, "--core=0", "--", setpriv, "--pdeathsig", "KILL", "--", setpriv, "--help"]
    done = subprocess.run(trial, capture_output=True, check=False)
    return (prlimit, setpriv) if done.returncode == 0 else None
