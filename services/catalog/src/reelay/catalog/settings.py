"""What the environment tells the catalog."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from reelay.common.settings import DatabaseSettings


class Settings(DatabaseSettings):
    """Read from variables that start with `CATALOG_`."""

    model_config = SettingsConfigDict(env_prefix="CATALOG_")

    admin_token_file: Path | None = Field(
        default=None, description="where the first administrator's token is written; none if unset"
    )
