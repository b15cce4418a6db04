from pathlib import Path

import pytest

from reelay.standalone.services import SERVICES
from reelay.standalone.settings import InvalidSettingError, Settings


def test_nothing_set_means_port_8080_and_a_folder_here() -> None:
    settings = Settings.from_environment({})
    assert settings.url == "http://127.0.0.1:8080"
    assert settings.data == Path.cwd() / ".reelay"


def test_the_environment_chooses() -> None:
    settings = Settings.from_environment(
        {"REELAY_PORT": "81", "REELAY_DATA": "/x", "REELAY_HOST": "0.0.0.0"}
    )
    assert (settings.url, settings.data) == ("http://127.0.0.1:81", Path("/x"))


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    with pytest.raises(InvalidSettingError, match="REELAY_PORT"):
        Settings.from_environment({"REELAY_PORT": port})


@pytest.mark.parametrize(
    ("text", "ranges"),
    [
        ("", ()),
        ("203.0.113.0/24", ("203.0.113.0/24",)),
        (" 10.0.0.0/8, 2001:db8::/32\n", ("10.0.0.0/8", "2001:db8::/32")),
        ("10.0.0.7", ("10.0.0.7/32",)),
    ],
)
def test_trusted_proxies_are_a_list_of_ranges(text: str, ranges: tuple[str, ...]) -> None:
    settings = Settings.from_environment({"REELAY_TRUSTED_PROXIES": text})
    assert settings.trusted_proxies == ranges


@pytest.mark.parametrize(
    "text", ["cdn.example", "10.0.0.0/33", "10.0.0.1/8", "fe80::%eth0/64", "static", "0.0.0.0/0 }"]
)
def test_a_range_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidSettingError, match="REELAY_TRUSTED_PROXIES must list CIDR ranges"):
        Settings.from_environment({"REELAY_TRUSTED_PROXIES": text})


def test_an_operator_changes_a_service_but_not_where_it_listens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoder = next(service for service in SERVICES if service.name == "encoder")
    monkeypatch.setenv("ENCODER_FFMPEG", "/usr/bin/ffmpeg")
    monkeypatch.setenv("ENCODER_PORT", "1")
    values = {"nats_url": "nats://", "store_url": "file:///s", "ffmpeg": "/wheel/ffmpeg"}
    environment = encoder.environment(values, 20_000)
    assert environment["ENCODER_FFMPEG"] == "/usr/bin/ffmpeg"
    assert environment["ENCODER_PORT"] == "20000"


def test_a_service_is_known_by_its_command_line() -> None:
    content_api = next(service for service in SERVICES if service.name == "content-api")
    assert content_api.argv[1:] == ("-m", "reelay.content_api")
    assert content_api.prefix == "CONTENT_API_"
