import os

import pytest

from reelay.encoder.settings import EncoderSettings


def test_ffmpeg_is_that_of_the_environment_unless_another_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("ENCODER_FFMPEG", raising=False)
    found = EncoderSettings(store_url="file:///store").ffmpeg
    assert os.access(found, os.X_OK)
    monkeypatch.setenv("ENCODER_FFMPEG", "/usr/bin/ffmpeg")
    assert EncoderSettings(store_url="file:///store").ffmpeg == "/usr/bin/ffmpeg"
