"""What the gateway does with requests."""

import http.client
import json
import os
import signal
import time
import urllib.request
from typing import Any

import pytest

pytestmark = pytest.mark.integration


@pytest.fixture
def running(up: Any) -> Any:
    return up.start_ready()


@pytest.mark.parametrize(
    ("path", "service"),
    [
        ("/api/v1/uploads", b"upload"),
        ("/api/v1/uploads/presigned", b"upload"),
        ("/api/v1/content/abc/master.m3u8", b"content-api"),
        ("/api/v1/videos", b"catalog"),
        ("/api/v1/anything", b"catalog"),
    ],
)
def test_paths_reach_their_service(running: Any, path: str, service: bytes) -> None:
    assert running.get(path)[2] == service + b" " + path.encode()


def test_an_unknown_path_is_a_problem_document(running: Any) -> None:
    status, kind, body = running.get("/nothing")
    assert (status, kind) == (404, "application/problem+json")
    assert json.loads(body)["detail"] == "There is nothing under this path."


def test_readiness_is_that_of_all_services(running: Any, eventually: Any) -> None:
    status, _, body = running.get("/readyz")
    assert status == 200
    assert all(service["ready"] for service in json.loads(body)["services"].values())
    os.kill(running.main_process("encoder"), signal.SIGSTOP)
    status, _, body = eventually(lambda: running.get("/readyz"), "an answer")
    assert status == 503
    assert json.loads(body)["services"]["encoder"] == {"ready": False}
    assert json.loads(body)["services"]["upload"] == {"ready": True}
    os.kill(running.main_process("encoder"), signal.SIGCONT)


def test_readiness_can_only_be_read(running: Any) -> None:
    for path in ("/readyz", "/healthz"):
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)
        connection.request("POST", path)
        answer = connection.getresponse()
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD"), path
        connection.close()


def named(url: str) -> list[str]:
    """Return what a service hears of a client that claims to come from elsewhere."""
    claim = {"x-forwarded-for": "192.0.2.66, 198.51.100.7"}
    request = urllib.request.Request(url + "/api/v1/forwarded-for", headers=claim)
    with urllib.request.urlopen(request, timeout=30) as answer:
        heard: list[str] = json.load(answer)
        return heard


def test_nobody_can_claim_another_address(running: Any) -> None:
    assert named(running.url) == ["127.0.0.1"]


def test_a_trusted_proxy_tells_who_its_client_is(up: Any) -> None:
    up.environment["REELAY_TRUSTED_PROXIES"] = "127.0.0.0/8"
    assert named(up.start_ready().url) == ["198.51.100.7"]


def test_events_are_passed_on_at_once(running: Any) -> None:
    with urllib.request.urlopen(running.url + "/api/v1/events", timeout=60) as stream:
        began = time.monotonic()
        assert stream.readline() == b"data: 0\n"
        assert time.monotonic() - began < 60  # of the 120 that the stream lasts


def test_a_large_body_is_passed_on(running: Any) -> None:
    body = bytes(20 * 1024 * 1024)
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)
    connection.request("PATCH", "/api/v1/uploads/1", body)
    assert connection.getresponse().read() == str(len(body)).encode()
    connection.close()


def test_a_request_waits_for_a_service_that_restarts(running: Any) -> None:
    os.kill(running.main_process("catalog"), signal.SIGKILL)
    running.eventually_says("catalog was ended by SIGKILL")
    assert running.get("/api/v1/videos")[0] == 200


def test_a_request_waits_for_a_gateway_that_restarts(running: Any) -> None:
    os.kill(running.main_process("caddy"), signal.SIGKILL)
    running.eventually_says("caddy was ended by SIGKILL")
    assert running.get("/api/v1/videos")[0] == 200


def test_warnings_of_services_reach_the_terminal_and_the_rest_their_file(running: Any) -> None:
    running.get("/api/v1/quiet")
    running.get("/api/v1/shout")
    running.eventually_says("catalog     │ warning: /api/v1/shout")
    assert "quiet" not in running.output()
    assert "quiet" in (running.data / "log" / "catalog.log").read_text()
