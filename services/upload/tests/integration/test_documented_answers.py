"""Whatever anybody asks: no server error, and answers as the OpenAPI document says."""

import asyncio
from pathlib import Path

import pytest

from reelay.common.testing.fuzzing import fuzz

from .conftest import System

pytestmark = pytest.mark.integration

NO_FETCHING = {"UPLOAD_IMPORTS_AT_A_TIME": "0"}
"""Drawn URLs are taken, and looked at, but nothing is asked of the servers that they name."""


@pytest.mark.parametrize("extra_settings", [NO_FETCHING])
@pytest.mark.parametrize("who", ["administrator", "nobody"])
async def test_answers_are_as_documented(system: System, tmp_path: Path, who: str) -> None:
    token = system.token("admin", "admin") if who == "administrator" else None
    shown = ["use_after_free"]  # presigned uploads and imports that ended are shown as `cancelled`
    await asyncio.to_thread(fuzz, system.program.url, tmp_path, token=token, without=shown)
