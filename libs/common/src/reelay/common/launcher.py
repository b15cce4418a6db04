"""How a program is started: it dies with us, and has its limits from the beginning."""

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


def restrained(
    argv: Sequence[str], limits: Mapping[int, int] = NO_LIMITS, nice: int = 0
) -> list[str]:
    """Return the command line that runs `argv` within `limits`, to get SIGKILL with our death.

    `limits` is by RLIMIT number, as in OPTIONS; `nice` is how much lower than ours its priority is
    from its first instruction: from outside, one thread of a process is reached at a time. The
    programs of util-linux and coreutils need some milliseconds, our own launcher, a Python, 40.
    """
    if (programs := _small_programs()) is None:
        return child.command(argv, death_signal=signal.SIGKILL, limits=limits, nice=nice)
    prlimit, setpriv, nice_program = programs
    options = [f"{OPTIONS[number]}={limit}" for number, limit in limits.items()]
    limited = [prlimit, *options, "--"] if options else []
    yielding = [nice_program, "-n", str(nice)] if nice else []
    return [*yielding, *limited, setpriv, "--pdeathsig", "KILL", "--", *argv]


@functools.cache
def _small_programs() -> tuple[str, str, str] | None:
    """Return the paths of `prlimit`, a `setpriv` that knows of deaths (BusyBox' does not), `nice`.

    None where one of them is missing or fails.
    """
    prlimit, setpriv, nice = map(shutil.which, ("prlimit", "setpriv", "nice"))
    if prlimit is None or setpriv is None or nice is None:
        return None
    trial = [nice, "-n", "0", prlimit, "--core=0", "--", setpriv, "--pdeathsig", "KILL", "--"]
    done = subprocess.run([*trial, setpriv, "--help"], capture_output=True, check=False)
    return (prlimit, setpriv, nice) if done.returncode == 0 else None
