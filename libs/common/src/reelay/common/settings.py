"""Settings that every service has; each reads them from the environment under its own prefix."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings

Level = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


class ServiceSettings(BaseSettings):
    """Subclass with `model_config = SettingsConfigDict(env_prefix="<SERVICE>_")`."""

    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(description="port to listen on")
    nats_url: str = Field(default="nats://127.0.0.1:4222", description="NATS server")
    store_url: str = Field(
        description="object store: file:///absolute/path or s3://key:secret@host:port/bucket"
    )
    log_format: Literal["text", "json"] = Field(default="text", description="form of log lines")
    log_level: Annotated[Level, BeforeValidator(str.upper)] = Field(
        default="INFO", description="least severe level that is written"
    )
    otlp_endpoint: str | None = Field(
        default=None, description="OTLP/HTTP collector for traces; tracing is off without it"
    )


class DatabaseSettings(ServiceSettings):
    """Settings of a service that has tables."""

    database_url: str = Field(description="postgresql://user:password@host:port/database")
