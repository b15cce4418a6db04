"""Whatever bytes a request is made of: no 5xx, and no byte that it should not reach."""

import asyncio
import json
import re
import socket
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reelay.common.storage import open_store
from reelay.common.testing.servers import Program

pytestmark = pytest.mark.integration

DATA = bytes(range(256)) * 40
SECRET = b"this lies outside of what anybody may see"
PACKAGE = "5e" * 32
OTHER = "07" * 32
PREFIX = f"/api/v1/content/{PACKAGE}"
SEGMENT = f"{PREFIX}/video/360p/1.m4s"
LINKS = ("video/360p/2.m4s", "video/360p/index.m3u8", "audio/main")
EXAMPLES = settings(max_examples=200, deadline=None, derandomize=True)


@dataclass
class Server:
    """A content API over a package, secrets beside it, and links in it that lead to them."""

    port: int

    def ask(self, request: bytes) -> tuple[int | None, dict[str, str], bytes]:
        """Return status, fields and body of the answer; no status when the connection is closed."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            answer = b""
            try:
                connection.sendall(request)
                while block := connection.recv(1 << 16):
                    answer += block
            except (ConnectionResetError, BrokenPipeError):
                pass  # it does not read what it refused
        assert SECRET not in answer
        head, _, body = answer.partition(b"\r\n\r\n")
        found = re.match(rb"HTTP/1\.1 (\d{3})", head)
        if found is None:
            assert not answer, "what is no HTTP has no answer"
            return None, {}, b""
        lines = [line.decode("latin-1").split(":", 1) for line in head.split(b"\r\n")[1:]]
        return int(found.group(1)), {name.lower(): value.strip() for name, value in lines}, body


@pytest.fixture(scope="module")
def server(shared_program: tuple[Program, str], tmp_path_factory: pytest.TempPathFactory) -> Server:
    """Store the package, the secrets and the links."""
    program, store_url = shared_program
    store = open_store(store_url)
    outside = tmp_path_factory.mktemp("outside")

    async def fill() -> None:
        renditions = [
            {"id": "360p", "path": "video/360p", "segments": 2},
            {"id": "audio", "path": "audio/main", "segments": 1},
        ]
        plan = json.dumps({"renditions": renditions}).encode()
        await store.put(f"packages/{PACKAGE}/plan.json", plan)
        await store.put(f"packages/{PACKAGE}/video/360p/1.m4s", DATA)
        for secret in ("secret", f"packages/{PACKAGE}/hidden.json", f"packages/{OTHER}/plan.json"):
            await store.put(secret, SECRET)

    asyncio.run(fill())
    package = store.local_path(f"packages/{PACKAGE}")
    assert package is not None
    for name in ("2.m4s", "index.m3u8", "1.m4s", "init.mp4"):
        (outside / name).write_bytes(SECRET)
    (package / "audio").mkdir()
    for link in LINKS:
        is_file = Path(link).suffix
        (package / link).symlink_to(outside / Path(link).name if is_file else outside)
    return Server(program.port)


def request(target: str, *fields: str, method: str = "GET") -> bytes:
    """Return the bytes of a request."""
    lines = [f"{method} {target} HTTP/1.1", *fields, "connection: close", "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")


def check(status: int | None, fields: dict[str, str], body: bytes) -> None:
    """Hold an answer against what every answer keeps."""
    if status == 503:  # of a promised object that is not there: not yet
        assert "retry-after" in fields
    else:
        assert status is None or status < 500
    if status == 200 and fields["content-type"] == "video/iso.segment":
        assert body in (DATA, b"")


PIECES = st.sampled_from(
    [
        *("..", ".", "%2e%2e", "%2e", "..%2f", "..%5c", "%252e%252e%252f", "..;", "%00", "%c0%ae"),
        *(
            "secret",
            "hidden.json",
            "plan.json",
            "packages",
            OTHER,
            PACKAGE,
            "etc",
            "passwd",
            ".tmp",
        ),
        *("video", "360p", "audio", "main", "1.m4s", "2.m4s", "index.m3u8", "init.mp4", "", "%2f"),
        *("\\", "//", "~", "?", "#", "%", "%zz", "\u00e9", "file:", "C:", "proc", "self", "fd"),
    ]
)
PATHS = st.lists(PIECES, max_size=8).map("/".join)
STARTS = st.sampled_from(
    [
        *(f"{PREFIX}/", "/api/v1/content/", f"/api/v1/content/{OTHER}/", "/", "", "//"),
        *(f"http://elsewhere{PREFIX}/", "http:///", f"file://{PREFIX}/", "*", f"{PREFIX}%2f"),
    ]
)
TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"))
HOSTS = st.sampled_from(["a", "", "a, b", "../..", "a:99999", "[::1", "127.0.0.1/..", "a\x00b"])
NAMES = st.sampled_from(
    [
        *("range", "if-range", "if-match", "if-none-match", "x-forwarded-for", "user-agent"),
        *("x-original-url", "x-rewrite-url", "forwarded", "origin", "transfer-encoding"),
    ]
)


@EXAMPLES
@given(STARTS, PATHS, HOSTS)
def test_no_target_and_no_host_reaches_a_byte_that_it_should_not(
    server: Server, start: str, path: str, host: str
) -> None:
    check(*server.ask(request(start + path, f"host: {host}")))


@EXAMPLES
@given(st.lists(st.tuples(NAMES, TEXT), max_size=4), st.sampled_from(["GET", "HEAD", "OPTIONS"]))
def test_no_field_makes_a_server_error(
    server: Server, fields: list[tuple[str, str]], method: str
) -> None:
    lines = [f"{name}: {value}" for name, value in fields]
    check(*server.ask(request(SEGMENT, "host: a", *lines, method=method)))


NUMBERS = st.one_of(
    st.just(""), st.integers(0, len(DATA) + 9).map(str), st.integers(0, 1 << 70).map(str)
)
RANGES = st.lists(st.tuples(NUMBERS, NUMBERS).map("-".join), min_size=1, max_size=5)


@EXAMPLES
@given(RANGES, st.sampled_from([",", ", ", " ,\t", ",,"]))
def test_ranges_give_exactly_the_bytes_that_they_name(
    server: Server, ranges: list[str], comma: str
) -> None:
    answer = server.ask(request(SEGMENT, "host: a", f"range: bytes={comma.join(ranges)}"))
    status, fields, body = answer
    check(*answer)
    assert status in (200, 206, 416)
    if status == 206 and "content-range" in fields:
        first, last, size = map(int, re.findall(r"\d+", fields["content-range"]))
        assert (body, size) == (DATA[first : last + 1], len(DATA))
    elif status == 206:
        parts = re.findall(rb"bytes (\d+)-(\d+)/(\d+)\r\n\r\n", body)
        assert parts
        for first, last, size in (map(int, part) for part in parts):
            assert DATA[first : last + 1] in body
            assert size == len(DATA)


@pytest.mark.parametrize("link", [*LINKS[:2], "audio/main/1.m4s", "audio/main/init.mp4"])
def test_links_below_promised_names_lead_nowhere(server: Server, link: str) -> None:
    status, _, _ = server.ask(request(f"{PREFIX}/{link}", "host: a"))
    assert status in (404, 503)


@pytest.mark.parametrize("size", [60_000, 70_000, 1_000_000])
@pytest.mark.parametrize("name", ["x", "range", "if-none-match", "cookie"])
def test_endless_fields_are_refused_and_others_still_served(
    server: Server, name: str, size: int
) -> None:
    check(*server.ask(request(SEGMENT, "host: a", f"{name}: {'a' * size}")))
    assert server.ask(request(SEGMENT, "host: a"))[2] == DATA
