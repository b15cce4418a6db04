"""Settings of the content API, from the environment."""

import tempfile
from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from reelay.common.settings import ServiceSettings


class ContentApiSettings(ServiceSettings):
    """What can be set, each with the prefix CONTENT_API_."""

    model_config = SettingsConfigDict(env_prefix="CONTENT_API_")

    wait_s: float = Field(
        default=8.0, gt=0, description="how long a GET waits for a promised object"
    )
    repeat_s: float = Field(
        default=0.5,
        gt=0,
        description="interval of demand, and the shortest of looking, while somebody waits",
    )
    max_waiting: int = Field(default=512, ge=0, description="requests that may wait at one time")
    max_waiting_per_package: int = Field(
        default=256, ge=0, description="requests that may wait for one package at one time"
    )
    cache_dir: Path = Field(
        default=Path(tempfile.gettempdir()),
        description="where a folder of this process is made, for copies of objects of a remote "
        "store and for answers under way",
    )
    cache_bytes: int = Field(
        default=1024**3, gt=0, description="size of these copies above which some are dropped"
    )
    memory_bytes: int = Field(
        default=32 * 1024**2, gt=0, description="memory for playlists and other small objects"
    )
    header_bytes: int = Field(
        default=256 * 1024**2, gt=0, description="size of headers of downloads kept in cache_dir"
    )
    max_downloads: int = Field(
        default=256, ge=0, description="downloads under way at one time; more are 503"
    )
    head_timeout_s: float = Field(
        default=15.0, gt=0, description="how long a connection may take for a request's head"
    )
    stalled_s: float = Field(
        default=30.0, gt=0, description="how long a client may take nothing of an answer"
    )
    max_connections: int = Field(default=4096, gt=0, description="more wait to be accepted")
