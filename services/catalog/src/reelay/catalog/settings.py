"""What the environment tells the catalog."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from reelay.catalog.cdn.hosts import CdnHost
from reelay.common.settings import DatabaseSettings


class Settings(DatabaseSettings):
    """Read from variables that start with `CATALOG_`."""

    model_config = SettingsConfigDict(env_prefix="CATALOG_")

    admin_token_file: Path | None = Field(
        default=None, description="where the first administrator's token is written; none if unset"
    )
    playback_token_s: float = Field(
        default=4 * 3600.0,
        ge=4,
        description="how long the paths of a private video are good at least",
    )
    cdn_hosts: list[CdnHost] = Field(
        default_factory=list, description='JSON: [{"url": "https://…", "weight": 1}, …]'
    )
    cdn_probe_s: float = Field(
        default=5.0, gt=0, description="how often each of these hosts is asked for /healthz"
    )
