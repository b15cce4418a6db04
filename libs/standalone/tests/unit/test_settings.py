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


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("10.0.0.5:4222", "10.0.0.5", 4222),
        ("[fd00::5]:4222", "fd00::5", 4222),
        ("0.0.0.0:1", "127.0.0.1", 1),
        ("[::]:1", "::1", 1),
    ],
)
def test_nats_listens_where_it_is_told(text: str, host: str, port: int) -> None:
    settings = Settings.from_environment({"REELAY_NATS_LISTEN": text})
    assert str(settings.nats_listen) == text
    assert settings.nats_listen is not None
    assert (settings.nats_host, settings.nats_listen.port) == (host, port)


def test_nats_is_for_this_machine_alone_unless_told() -> None:
    settings = Settings.from_environment({"REELAY_NATS_LISTEN": ""})
    assert (settings.nats_listen, settings.nats_host) == (None, "127.0.0.1")


@pytest.mark.parametrize(
    "text",
    [
        "10.0.0.5", ":4222", "4222", "10.0.0.5:0", "10.0.0.5:65536", "10.0.0.5:x", "10.0.0:4222",
        "fd00::5:4222", "[fe80::1%eth0]:4222", "localhost:4222", "nats://10.0.0.5:4222",
        "a:b@10.0.0.5:4222", "10.0.0.5:4222/x", "10.0.0.5:4222 ",
    ],
)  # fmt: skip
def test_an_address_of_nats_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidSettingError, match="REELAY_NATS_LISTEN must be an IP address"):
        Settings.from_environment({"REELAY_NATS_LISTEN": text})


def test_objects_lie_in_the_data_directory_or_in_the_store_that_is_named() -> None:
    settings = Settings.from_environment({"REELAY_DATA": "/x y"})
    assert settings.store_url == "file:///x%20y/store"
    url = "s3://key:secret@host:1/bucket"
    assert Settings.from_environment({"REELAY_STORE_URL": url}).store_url == url


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
