"""Settings of the upload service."""

from ipaddress import IPv4Network, IPv6Network
from typing import Annotated

from pydantic import BeforeValidator, DirectoryPath, Field
from pydantic_settings import NoDecode, SettingsConfigDict

from reelay.common.identity import MAX_ASSET_BYTES
from reelay.common.settings import DatabaseSettings

DAY_S = 86400.0


def _split(text: object) -> object:
    return (
        [part.strip() for part in text.split(",") if part.strip()]
        if isinstance(text, str)
        else text
    )


Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_split)]


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
    max_size_bytes: int = Field(
        default=MAX_ASSET_BYTES,
        gt=0,
        le=MAX_ASSET_BYTES,
        description="most bytes of one file",
    )
    quota_bytes: int | None = Field(
        default=None, ge=0, description="most bytes of one user's files together; unset: no limit"
    )
    max_unfinished: int | None = Field(
        default=1000, ge=1, description="most unfinished uploads of one user at a time"
    )
    spool_dir: DirectoryPath | None = Field(
        default=None, description="folder for bytes on their way; unset: the system's"
    )
    sweep_interval_s: float = Field(
        default=3600.0, gt=0, description="time between two sweeps for expired uploads"
    )
    gc_grace_s: float = Field(
        default=7 * DAY_S, ge=0, description="a source that no video needs is kept for so long"
    )
    gc_interval_s: float = Field(default=3600.0, gt=0, description="time between two collections")
    link_expires_s: float = Field(
        default=3600.0, gt=0, le=7 * DAY_S, description="a presigned part is sent within this time"
    )
    imports_at_a_time: int = Field(
        default=4, ge=0, description="files that one replica fetches from other servers at a time"
    )
    import_allowed_networks: Networks = Field(
        default=(),
        description="networks, separated by commas, that files may be imported from though they "
        "are not public",
    )
    import_time_limit_s: float = Field(
        default=6 * 3600.0, gt=0, description="all tries at one file may take so long together"
    )
    import_stall_limit_s: float = Field(
        default=30.0,
        gt=0,
        description="a server may be silent, or below the least rate, for so long",
    )
    import_least_bytes_per_s: float = Field(
        default=16 * 1024.0, ge=0, description="least rate of a server that sends"
    )
    import_tries: int = Field(
        default=8, ge=1, description="tries in a row that may bring next to nothing"
    )
    import_retry_s: float = Field(
        default=1.0, gt=0, description="pause after the first such try; each further one doubles it"
    )
