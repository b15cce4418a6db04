"""The service as a process of its own."""

import sys
from pathlib import Path

from reelay.common.testing.media import ffmpeg_binary, ffprobe_binary, shaka_binary
from reelay.common.testing.servers import Program, free_port


def packager_at(nats_url: str, database_url: str, folder: Path, ffmpeg: str = "") -> Program:
    """Return a packager that is not started, with its store under `folder`."""
    port = free_port()
    settings = {
        "PORT": port,
        "NATS_URL": nats_url,
        "DATABASE_URL": database_url,
        "STORE_URL": f"file://{folder}/store",
        "FFMPEG": ffmpeg or ffmpeg_binary(),
        "FFPROBE": ffprobe_binary(),
        "SHAKA": shaka_binary(),
    }
    environment = [f"PACKAGER_{name}={value}" for name, value in settings.items()]
    argv = ["/usr/bin/env", *environment, sys.executable, "-m", "reelay.packager"]
    return Program(argv, port, f"http://127.0.0.1:{port}", folder / f"packager-{port}.log")
