"""`status`, `doctor` and `dead-letters` of an instance."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from reelay.cli.dead_letters import DeadLetters, LetterMissingError, open_dead_letters
from reelay.common.commands import DeadLetter
from reelay.common.messaging import Messaging
from reelay.common.testing.servers import Program, free_port
from reelay.standalone import instance

pytestmark = pytest.mark.integration


class Service(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        checks = {"nats": "ok", "database": "ok" if self.status == 200 else "no answer"}
        body = json.dumps({"ready": self.status == 200, "checks": checks}).encode()
        self.send_response(self.status if self.path == "/readyz" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def service() -> Iterator[HTTPServer]:
    with HTTPServer(("127.0.0.1", 0), type("BoundService", (Service,), {})) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def write_instance(data: Path, services: dict[str, str]) -> None:
    (data / "run").mkdir(parents=True)
    started = instance.start_time(os.getpid())
    assert started is not None
    running = instance.Instance(
        os.getpid(), started, "http://127.0.0.1:8080", "http://127.0.0.1:1/readyz", services
    )
    instance.write(data, running)


def test_status_of_nothing_is_said(command) -> None:
    done = command("status")
    assert done.returncode == 1
    assert done.stderr.startswith("reelay: No Reelay runs in ")
    assert json.loads(command("status", "--json").stdout) == {"services": {}}


def test_status_is_good_when_all_are_ready(command, service) -> None:
    url = f"http://127.0.0.1:{service.server_port}"
    write_instance(command.directory / "data", {"content-api": url})
    done = command("status", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"services": {"content-api": {"url": url, "ready": True}}}
    assert "content-api" in command("status").stdout


def test_status_names_what_is_missing(command, service) -> None:
    service.RequestHandlerClass.status = 503
    urls = {
        "catalog": f"http://127.0.0.1:{service.server_port}",
        "encoder": f"http://127.0.0.1:{free_port()}",
    }
    write_instance(command.directory / "data", urls)
    done = command("status")
    assert done.returncode == 1
    assert "database: no answer" in done.stdout
    assert "Connection refused" in done.stdout
    services = json.loads(command("status", "--json").stdout)["services"]
    assert [one["ready"] for one in services.values()] == [False, False]


def test_doctor_finds_this_machine_fit(command) -> None:
    command.environment["REELAY_PORT"] = str(free_port())
    done = command("doctor", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 0, report
    names = {check["name"] for check in report["checks"]}
    assert {"ffmpeg", "caddy", "postgres", "nats-server", "shaka-packager", "disk space"} <= names
    assert not (command.directory / "data").exists()


def test_doctor_says_what_is_wrong_and_what_helps(command, server) -> None:
    command.environment["REELAY_PORT"] = server.rpartition(":")[2]
    done = command("doctor")
    assert done.returncode == 1
    assert f"MISSING port {command.environment['REELAY_PORT']}" in done.stdout
    assert "-> choose another" in done.stdout


def test_help_loads_nothing_that_only_other_commands_need() -> None:
    look = "import sys, reelay.cli.main; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    heavy = {"httpx", "nats", "pydantic", "reelay.standalone.up", "reelay.common.events"}
    assert not heavy & set(done.stdout.split())


@pytest.fixture
async def letters(messaging: Messaging, nats: Program) -> Any:
    await messaging.start()
    async with open_dead_letters(nats.url) as box:
        yield box


def letter(body: str = '{"a": "ä"}') -> DeadLetter:
    headers = {"ce-id": "original", "Nats-Msg-Id": "original", "Nats-Expected-Stream": "NONE"}
    return DeadLetter(
        original_subject="events.asset.uploaded",
        handler="catalog-note-asset",
        reason="Error()",
        kind="permanent",
        headers=headers,
        body=body,
    )


async def bury(messaging: Messaging, count: int) -> None:
    for number in range(count):
        await messaging.publish(letter(), message_id=f"letter-{number}")


async def numbers(box: DeadLetters) -> list[int]:
    return [stored.number async for stored in box.all()]


async def test_all_letters_are_listed_in_order(messaging: Messaging, letters) -> None:
    assert await numbers(letters) == []
    await bury(messaging, 3)
    await letters.drop(2)
    assert await numbers(letters) == [1, 3]
    assert "catalog-note-asset  events.asset.uploaded  Error()" in (await letters.get(3)).as_line()


async def test_replayed_message_is_the_original_with_a_new_id(messaging, letters) -> None:
    await bury(messaging, 1)
    await messaging.jetstream.publish(
        "events.asset.uploaded", b"first", headers={"Nats-Msg-Id": "original"}
    )
    await letters.replay(1)
    again = await messaging.jetstream.get_msg("EVENTS", 2)
    assert again.subject == "events.asset.uploaded"
    assert again.data == '{"a": "ä"}'.encode()
    assert again.headers["ce-id"] == "original"
    assert again.headers["Nats-Msg-Id"] != "original"
    assert await numbers(letters) == []


async def test_letter_that_is_not_there_is_said(messaging, letters) -> None:
    await bury(messaging, 1)
    for number in (0, 2):
        with pytest.raises(LetterMissingError):
            await letters.drop(number)


async def test_unreadable_letter_can_only_be_dropped(messaging, letters) -> None:
    await messaging.jetstream.publish("deadletters.x-y", b"nonsense")
    assert (await letters.get(1)).letter.handler == "x-y"
    from reelay.cli.errors import CommandError

    with pytest.raises(CommandError, match="cannot be replayed"):
        await letters.replay(1)
    await letters.drop(1)
    assert await numbers(letters) == []


def test_dead_letters_of_nothing_is_said(command) -> None:
    done = command("dead-letters", "list")
    assert done.returncode == 1
    assert "No Reelay runs" in done.stderr
