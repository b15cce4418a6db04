import pytest

from reelay.common.wheels import installed_ffmpeg
from reelay.packager.settings import PackagerSettings


def settings() -> PackagerSettings:
    return PackagerSettings(
        port=8103, store_url="file:///store", database_url="postgresql://nowhere/packager"
    )


def test_ffmpeg_is_the_encoders_unless_another_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PACKAGER_FFMPEG", raising=False)
    assert settings().ffmpeg == installed_ffmpeg()
    monkeypatch.setenv("PACKAGER_FFMPEG", "/usr/bin/ffmpeg")
    assert settings().ffmpeg == "/usr/bin/ffmpeg"
