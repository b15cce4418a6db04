"""What the bundled Caddy understands of the configuration that is made for it."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from reelay.standalone import gateway
from reelay.standalone.programs import find_programs

pytestmark = pytest.mark.integration

ROUTES = [(("/api/v1/content/*",), 9001)]


def understood(text: str, folder: Path) -> dict[str, Any]:
    """Return what the bundled Caddy makes of a Caddyfile, or fail with its complaint."""
    file = folder / "Caddyfile"
    file.write_text(text)
    done = subprocess.run(
        [find_programs(folder).caddy, "adapt", "--config", file, "--adapter", "caddyfile"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    [server] = json.loads(done.stdout)["apps"]["http"]["servers"].values()
    return dict(server)


def test_nobody_is_trusted_unless_told(tmp_path: Path) -> None:
    text = gateway.configuration(3, ROUTES)
    assert "trusted" not in text
    assert understood(text, tmp_path)["protocols"] == ["h1"]


def test_ranges_of_proxies_are_trusted_and_read_from_the_right(tmp_path: Path) -> None:
    ranges = ["203.0.113.0/24", "2001:db8::/32"]
    server = understood(gateway.configuration(3, ROUTES, ranges), tmp_path)
    assert server["trusted_proxies"] == {"ranges": ranges, "source": "static"}
    assert server["trusted_proxies_strict"] == 1
