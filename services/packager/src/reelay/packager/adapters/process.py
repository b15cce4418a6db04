"""Runs a short helper program within limits of time and memory."""

import asyncio
import contextlib
import resource
from dataclasses import dataclass
from math import ceil

from reelay.common.errors import TransientError

MEMORY_LIMIT_BYTES = 4 * 1024**3


class ProgramTimeoutError(TransientError):
    """A helper program took too long and was ended."""


@dataclass(frozen=True)
class Finished:
    """How a program ended, and what it wrote."""

    code: int
    stdout: bytes
    stderr: str


async def run_program(argv: list[str], *, timeout_s: float) -> Finished:
    """Run `argv` to its end; raises ProgramTimeoutError after `timeout_s` seconds."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    cpu_s = ceil(timeout_s)
    with contextlib.suppress(ProcessLookupError):  # it has ended already
        resource.prlimit(process.pid, resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
        # Ends it even when we are killed before our own time limit.
        resource.prlimit(process.pid, resource.RLIMIT_CPU, (cpu_s, cpu_s))
    try:
        async with asyncio.timeout(timeout_s):
            stdout, stderr = await process.communicate()
    except TimeoutError as error:
        raise ProgramTimeoutError(f"{argv[0]} took more than {timeout_s:g} s.") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Finished(process.returncode, stdout, stderr.decode(errors="replace"))
