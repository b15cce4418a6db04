"""Whatever a client says: no 5xx, and every refusal is a problem document."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .client import OCTETS, movie
from .conftest import System

pytestmark = pytest.mark.integration

PATH = "/api/v1/uploads"
UNKNOWN = "0198c5b2-0000-7000-8000-000000000000"
FILM = movie(3000)

NUMBERS = st.one_of(
    st.sampled_from(["", "0", "-1", "+1", "1e3", "0x10", "1_000", "\u00b2", "00", "3000", "NaN"]),
    st.integers(0, 1 << 80).map(str),
)
TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=255, exclude_characters="\x7f"))
BASE64 = st.sampled_from(["", "IA==", "AAAA", "/w==", "====", "YQ", "AA==,", "Li4vLi4vLi4="])
METADATA = st.lists(
    st.tuples(st.sampled_from(["video_id", "filename", "filetype", "", "x"]), BASE64).map(" ".join)
).map(",".join)
CONCAT = st.sampled_from(
    [
        *("partial", "final", "final;", f"final;{PATH}/{UNKNOWN}", "final;http://elsewhere/x"),
        *(f"final;{PATH}/../{UNKNOWN}", "final;" + " ".join([f"{PATH}/{UNKNOWN}"] * 100)),
    ]
)
CHECKSUMS = st.one_of(
    st.tuples(st.sampled_from(["sha1", "sha256", "md5", ""]), BASE64).map(" ".join), TEXT
)
USUAL = {
    "Upload-Length": st.one_of(st.just("3000"), NUMBERS),
    "Upload-Offset": st.one_of(st.just("0"), NUMBERS),
    "Content-Type": st.one_of(st.just(OCTETS), st.just(OCTETS), TEXT),
}
"""Most requests have these, and most of them as they should be: others end at the first look."""
UNUSUAL = {
    "Upload-Defer-Length": st.one_of(st.just("1"), NUMBERS),
    "Upload-Metadata": st.one_of(METADATA, TEXT),
    "Upload-Concat": st.one_of(CONCAT, TEXT),
    "Upload-Checksum": CHECKSUMS,
    "X-HTTP-Method-Override": st.sampled_from(["PATCH", "DELETE", "", "GET", "\u00e9"]),
    "Tus-Resumable": st.one_of(st.just("0.2.2"), TEXT),
    "Authorization": st.one_of(st.sampled_from(["Bearer ", "Bearer a.b.c", "Basic x"]), TEXT),
}
FIELDS = st.tuples(
    st.fixed_dictionaries({}, optional=USUAL) | st.fixed_dictionaries(USUAL),
    st.lists(
        st.sampled_from(sorted(UNUSUAL)).flatmap(lambda n: st.tuples(st.just(n), UNUSUAL[n])),
        max_size=2,
    ),
).map(lambda both: {**both[0], **dict(both[1])})
TARGETS = st.sampled_from(
    [
        "",
        "/mine",
        f"/{UNKNOWN}",
        "/",
        "/x",
        "/..%2f..%2fsecret",
        "/%00",
        f"/{UNKNOWN}%2f..",
        "/\u00e9",
    ]
)
REQUESTS = st.one_of(
    st.tuples(st.just("POST"), st.just("")),
    st.tuples(st.just("PATCH"), st.just("/mine")),
    st.tuples(
        st.sampled_from(["POST", "PATCH", "HEAD", "DELETE", "OPTIONS", "GET", "PUT"]), TARGETS
    ),
)
BODIES = st.sampled_from([b"", FILM, FILM[:7], b"MZ" + bytes(2000), bytes(4000)])


@settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(REQUESTS, FIELDS, BODIES)
async def test_no_request_makes_a_server_error(
    system: System, request_: tuple[str, str], fields: dict[str, str], body: bytes
) -> None:
    method, target = request_
    if target == "/mine":
        target = (await system.client.create(len(FILM))).removeprefix(PATH)
    headers = {**system.client.headers(), **fields}
    raw = [(name.encode(), value.strip().encode("latin-1")) for name, value in headers.items()]
    answer = await system.client.http.request(method, PATH + target, headers=raw, content=body)
    assert answer.status_code < 500
    if answer.status_code >= 400 and method != "HEAD":
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code
        assert answer.json()["detail"]
