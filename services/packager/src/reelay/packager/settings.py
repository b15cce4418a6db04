"""The packager's settings: environment, prefix PACKAGER_."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from reelay.common.settings import DatabaseSettings


class PackagerSettings(DatabaseSettings):
    """All of them."""

    model_config = SettingsConfigDict(env_prefix="PACKAGER_")

    ffprobe: str = Field(default="ffprobe", description="path of ffprobe")
    ffmpeg: str = Field(default="ffmpeg", description="path of FFmpeg, which rewrites sources")
    shaka: str = Field(default="packager", description="path of Shaka Packager")
