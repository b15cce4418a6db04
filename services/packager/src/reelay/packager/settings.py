"""The packager's settings: environment, prefix PACKAGER_."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from reelay.common.settings import DatabaseSettings
from reelay.common.wheels import installed_ffmpeg

DAY_S = 86400.0


class PackagerSettings(DatabaseSettings):
    """All of them."""

    model_config = SettingsConfigDict(env_prefix="PACKAGER_")

    ffprobe: str = Field(default="ffprobe", description="path of ffprobe")
    ffmpeg: str = Field(
        default_factory=installed_ffmpeg,
        description="path of FFmpeg, which rewrites sources; its version is part of recipes",
    )
    shaka: str = Field(default="packager", description="path of Shaka Packager")
    gc_grace_s: float = Field(
        default=7 * DAY_S, ge=0, description="what nothing needs is kept for so long"
    )
    gc_interval_s: float = Field(default=3600.0, gt=0, description="time between two collections")
    max_duration_s: float = Field(
        default=86400.0, gt=0, description="longest video that is accepted"
    )
