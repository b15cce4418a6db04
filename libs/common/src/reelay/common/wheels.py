"""Programs that came as files of Python packages."""

import os
from importlib.util import find_spec
from pathlib import Path


def find_in_package(package: str, pattern: str) -> Path | None:
    """Return the first file of a package that a glob pattern fits; the package is not loaded."""
    spec = find_spec(package)
    for folder in (spec and spec.submodule_search_locations) or []:
        for path in sorted(Path(folder).glob(pattern)):
            return path
    return None


def installed_ffmpeg() -> str:
    """Return the FFmpeg that `make env` installs, which is the same on all machines.

    Its version is part of what names a package, so all services take the same. Where it cannot be
    run, the name that is looked for on PATH.
    """
    found = find_in_package("imageio_ffmpeg", "binaries/ffmpeg-*")
    return str(found) if found and os.access(found, os.X_OK) else "ffmpeg"
