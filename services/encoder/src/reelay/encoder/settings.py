"""Settings of the encoder."""

import os

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from reelay.common.settings import ServiceSettings
from reelay.common.wheels import installed_ffmpeg

MOST_THREADS = 8
"""More of them delay a segment by more frames than they save time."""


class EncoderSettings(ServiceSettings):
    """Read from the environment, prefix ENCODER_."""

    model_config = SettingsConfigDict(env_prefix="ENCODER_")

    port: int = Field(default=8104, description="port to listen on")
    ffmpeg: str = Field(
        default_factory=installed_ffmpeg,
        description="path of FFmpeg; by default that of the environment, else the one on PATH",
    )
    threads: int = Field(
        default=0, ge=0, description="threads of one FFmpeg; 0: as many as CPUs, at most 8"
    )
    memory_limit_bytes: int = Field(
        default=8 << 30, gt=0, description="address space of one FFmpeg (RLIMIT_AS)"
    )
    wall_limit_s: float = Field(
        default=1800.0, gt=0, description="longest run of one FFmpeg, without time it was stopped"
    )
    no_progress_limit_s: float = Field(
        default=60.0, gt=0, description="longest time of one FFmpeg without a frame"
    )
    longest_pause_s: float = Field(
        default=10.0,
        ge=0,
        description="longest pause of the ladder for higher lanes; 0: no lane is ever paused",
    )

    def thread_count(self) -> int:
        """Return the number of threads for one FFmpeg."""
        return self.threads or min(len(os.sched_getaffinity(0)), MOST_THREADS)
