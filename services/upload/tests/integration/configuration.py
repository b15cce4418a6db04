"""Settings that differ in a test."""

import pytest


def environment(**settings: object) -> dict[str, str]:
    """Return settings of UploadSettings as the variables that the service reads."""
    return {f"UPLOAD_{name.upper()}": str(value) for name, value in settings.items()}


def limited(**settings: object) -> pytest.MarkDecorator:
    """Let the service of a test run with these settings."""
    return pytest.mark.parametrize("extra_settings", [environment(**settings)], ids=["limited"])
