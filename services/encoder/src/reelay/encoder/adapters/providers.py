"""Finds out what the FFmpeg at hand can really do, by letting it do it."""

import asyncio
import re
from asyncio.subprocess import DEVNULL, PIPE
from dataclasses import dataclass

from reelay.common.errors import SetupError, TransientError
from reelay.common.launcher import restrained
from reelay.encoder.domain.command import VIDEO_CODECS

TRIAL_TIMEOUT_S = 20.0


class NoProviderError(SetupError):
    """This FFmpeg can encode nothing; ENCODER_FFMPEG names the program."""


class ProviderLostError(TransientError):
    """FFmpeg no longer encodes a frame with a provider that it could encode with."""


@dataclass(frozen=True)
class Abilities:
    """What an FFmpeg can do."""

    version: str
    providers: tuple[str, ...]
    """Providers that encoded a frame."""
    tonemap: bool
    """Whether HDR can be mapped to BT.709 (zscale)."""


async def find_abilities(program: str) -> Abilities:
    """Try everything at once; raise NoProviderError when no provider works."""
    version, filters, *tried = await asyncio.gather(
        _run(program, "-version"),
        _run(program, "-hide_banner", "-filters"),
        *(_run(program, *_one_frame(codec)) for codec in VIDEO_CODECS.values()),
    )
    providers = [name for name, (status, _) in zip(VIDEO_CODECS, tried, strict=True) if status == 0]
    if not providers:
        raise NoProviderError
    match = re.search(r"version (\S+)", version[1])
    return Abilities(
        version=match[1] if match else "unknown",
        providers=tuple(providers),
        tonemap=" zscale " in filters[1] and " tonemap " in filters[1],
    )


async def assert_provider(program: str, provider: str) -> None:
    """Let FFmpeg encode one frame; raise ProviderLostError when it does not."""
    status, _ = await _run(program, *_one_frame(VIDEO_CODECS[provider]))
    if status != 0:
        raise ProviderLostError(f"FFmpeg ended with status {status} on a frame for {provider}")


def _one_frame(codec: str) -> list[str]:
    source = ["-f", "lavfi", "-i", "color=s=320x180:r=25", "-frames:v", "1"]
    return ["-nostdin", "-v", "error", *source, "-c:v", codec, "-f", "null", "-"]


async def _run(program: str, *arguments: str) -> tuple[int, str]:
    """Return exit status and standard output; a program that is missing or hangs has failed."""
    argv = restrained([program, *arguments])
    try:
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL
        )
    except OSError as error:  # it is no program, or there may be no more processes
        return error.errno or 1, ""
    try:
        async with asyncio.timeout(TRIAL_TIMEOUT_S):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        return await process.wait(), ""
    assert process.returncode is not None
    return process.returncode, output.decode(errors="replace")
