"""Settings of the upload service."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from reelay.common.settings import DatabaseSettings

DAY_S = 86400.0


class UploadSettings(DatabaseSettings):
    """Read from the environment, prefix UPLOAD_."""

    model_config = SettingsConfigDict(env_prefix="UPLOAD_")

    port: int = Field(default=8101, description="port to listen on")
    expires_after_s: float = Field(
        default=7 * DAY_S, gt=0, description="an unfinished upload is removed after this silence"
    )
    stall_limit_s: float = Field(
        default=60.0, gt=0, description="a request that sends no byte for so long is ended"
    )
    sweep_interval_s: float = Field(
        default=3600.0, gt=0, description="time between two sweeps for expired uploads"
    )
