"""Runs a short helper program within limits of time, memory and output; it dies with us."""

import asyncio
import contextlib
import os
import resource
import shutil
import signal
from dataclasses import dataclass
from math import ceil

from reelay.common.errors import PermanentError, SetupError, TransientError
from reelay.common.launcher import restrained
from reelay.common.tasks import end

MEMORY_LIMIT_BYTES = 4 * 1024**3
OUTPUT_LIMIT_BYTES = 8 * 1024**2
"""Far more than any program here has to say; what it says lies in our memory."""
LOG_BYTES = 64 * 1024
"""So much of a program's complaints is kept, from their end."""
READ_BYTES = 64 * 1024


class ProgramMissingError(SetupError):
    """A helper program is not where the settings say."""


class ProgramTimeoutError(TransientError):
    """A helper program took too long, or too much of a processor, and was ended."""


class ProgramKilledError(TransientError):
    """A helper program was killed from outside, as the kernel does for want of memory."""


class EndlessOutputError(PermanentError):
    """A helper program printed more than it may and was ended."""


@dataclass(frozen=True)
class Finished:
    """How a program ended, and what it wrote; of its complaints the last."""

    code: int
    stdout: bytes
    stderr: str


async def run_program(argv: list[str], *, timeout_s: float, cpu_s: float | None = None) -> Finished:
    """Run `argv` to its end; raises ProgramTimeoutError after `timeout_s` seconds.

    So it does when the program has computed for `cpu_s`, which is by default as long as it may
    take. Raises EndlessOutputError for more than OUTPUT_LIMIT_BYTES on its standard output,
    ProgramKilledError, and ProgramMissingError.
    """
    if shutil.which(argv[0]) is None:  # what starts it would only end with a status of its own
        raise ProgramMissingError(f"{argv[0]} is not a program that can be started")
    process = await asyncio.create_subprocess_exec(
        *restrained(argv),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    _limit(process.pid, ceil(cpu_s or timeout_s))
    complaints = asyncio.create_task(_read_last(process.stderr))
    try:
        async with asyncio.timeout(timeout_s):
            stdout = await _read_all(process.stdout, argv[0])
            stderr = await complaints
            code = await process.wait()
    except TimeoutError as error:
        raise ProgramTimeoutError(f"{argv[0]} took more than {timeout_s:g} s.") from error
    finally:
        await end(complaints)
        await _end(process)
    if code == -signal.SIGXCPU:
        raise ProgramTimeoutError(f"{argv[0]} computed for too long.")
    if code == -signal.SIGKILL:
        raise ProgramKilledError(f"{argv[0]} was killed.")
    return Finished(code, stdout, stderr.decode(errors="replace"))


def _limit(pid: int, cpu_s: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has ended already
        resource.prlimit(pid, resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
        # At the first it gets SIGXCPU, which tells our limit from somebody else's SIGKILL.
        resource.prlimit(pid, resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill what is left of a program and of all that it started."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()  # its end is not seen before its last output is taken


async def _read_all(stream: asyncio.StreamReader, program: str) -> bytes:
    output = bytearray()
    while block := await stream.read(READ_BYTES):
        output += block
        if len(output) > OUTPUT_LIMIT_BYTES:
            raise EndlessOutputError(f"{program} printed more than {OUTPUT_LIMIT_BYTES} bytes.")
    return bytes(output)


async def _read_last(stream: asyncio.StreamReader) -> bytes:
    kept = bytearray()
    while block := await stream.read(READ_BYTES):
        kept += block
        del kept[:-LOG_BYTES]
    return bytes(kept)
