"""Reelay's own services as `reelay up` runs them: processes that are told everything by name."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Service:
    """A service, its public paths, and the settings that only it has."""

    name: str
    paths: tuple[str, ...] = ()
    """Public paths, as Caddy matches them; the first service in the table that matches wins."""
    has_database: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)
    """Without prefix; `{ffmpeg}` and its like are filled in by `system`."""
    command: tuple[str, ...] = ()
    """Run instead of `python -m reelay.<module>`."""

    @property
    def module(self) -> str:
        return f"reelay.{self.name.replace('-', '_')}"

    @property
    def prefix(self) -> str:
        return self.name.replace("-", "_").upper() + "_"

    @property
    def argv(self) -> tuple[str, ...]:
        return self.command or (sys.executable, "-m", self.module)

    def environment(self, values: Mapping[str, str], port: int) -> dict[str, str]:
        """Return its variables: ours, then the operator's own, and what must not be changed."""
        ours = {name: text.format_map(values) for name, text in self.settings.items()}
        ours |= {name: values[name.lower()] for name in ("NATS_URL", "STORE_URL")}
        ours["LOG_FORMAT"] = "json"
        if self.has_database:
            ours["DATABASE_URL"] = values["database_url"].format(database=self.database)
        chosen = {name: text for name, text in os.environ.items() if name.startswith(self.prefix)}
        variables = {self.prefix + name: text for name, text in ours.items()} | chosen
        return variables | {f"{self.prefix}HOST": "127.0.0.1", f"{self.prefix}PORT": str(port)}

    @property
    def database(self) -> str:
        return self.name.replace("-", "_")


SERVICES = (
    Service(
        name="upload",
        paths=(
            "/api/v1/uploads",
            "/api/v1/uploads/*",
            "/api/v1/imports",
            "/api/v1/imports/*",
            "/api/v1/sources/*",
        ),
        has_database=True,
    ),
    Service(
        name="content-api",
        paths=("/api/v1/content/*",),
    ),
    Service(
        name="packager",
        paths=("/api/v1/packages/*",),
        has_database=True,
        settings={"FFPROBE": "{ffprobe}", "FFMPEG": "{ffmpeg}", "SHAKA": "{shaka}"},
    ),
    Service(
        name="encoder",
        settings={"FFMPEG": "{ffmpeg}"},
    ),
    Service(
        name="catalog",
        paths=("/api/v1/*",),
        has_database=True,
        settings={"ADMIN_TOKEN_FILE": "{admin_token}", "PUBLIC_URL": "{public_url}"},
    ),
)
