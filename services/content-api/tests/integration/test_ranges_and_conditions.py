"""Parts of objects, and objects on conditions, over real HTTP (RFC 9110, sections 13 and 14)."""

import asyncio
import os
from typing import Any

import pytest

from .serving import DATA, SIZE, parts
from .sites import SEGMENT

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=5-99", (5, 100)),
        ("bytes=10000-", (10000, SIZE)),
        (f"bytes=0-{SIZE * 9}", (0, SIZE)),
        ("bytes=-7", (SIZE - 7, SIZE)),
        (f"bytes=-{SIZE * 2}", (0, SIZE)),
    ],
)
async def test_single_range_is_partial_content(
    site: Any, etag: str, field: str, expected: tuple[int, int]
) -> None:
    start, end = expected
    answer = await site.get(SEGMENT, headers={"range": field})
    assert (answer.status_code, answer.content) == (206, DATA[start:end])
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{SIZE}"
    assert answer.headers["content-length"] == str(end - start)
    assert answer.headers["etag"] == etag


@pytest.mark.parametrize("field", [f"bytes={SIZE}-", "bytes=-0", f"bytes={SIZE}-{SIZE + 5}"])
async def test_range_beyond_the_end_is_416_with_the_size(site: Any, etag: str, field: str) -> None:
    answer = await site.get(SEGMENT, headers={"range": field})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{SIZE}"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("field", ["bytes=0-1,x-6", "bytes=9-1", "bytes=x-", "lines=0-1"])
async def test_malformed_ranges_get_the_whole_object(site: Any, etag: str, field: str) -> None:
    answer = await site.get(SEGMENT, headers={"range": field})
    assert (answer.status_code, answer.content) == (200, DATA)


async def test_several_ranges_are_parts_of_one_answer(site: Any, etag: str) -> None:
    answer = await site.get(SEGMENT, headers={"range": "bytes=0-99,5000-5049,-70,999999-"})
    assert answer.status_code == 206
    assert "content-range" not in answer.headers
    assert answer.headers["content-length"] == str(len(answer.content))
    assert answer.headers["etag"] == etag
    assert parts(answer) == [
        (f"bytes 0-99/{SIZE}", DATA[:100]),
        (f"bytes 5000-5049/{SIZE}", DATA[5000:5050]),
        (f"bytes {SIZE - 70}-{SIZE - 1}/{SIZE}", DATA[-70:]),
    ]


async def test_several_ranges_of_a_large_object_are_sent_without_holding_it(
    site: Any, etag: str
) -> None:
    data = os.urandom(3_000_000)
    await site.put("video/360p/4.m4s", data)
    field = "bytes=0-999999,1500000-2600000,2900000-2900009"
    answers = await asyncio.gather(
        *(site.get("video/360p/4.m4s", headers={"range": field}) for _ in range(30))
    )
    for answer in answers:
        if answer.status_code == 200:  # So many at a time are not all answered in parts.
            assert answer.content == data
        else:
            assert [len(content) for _, content in parts(answer)] == [1000000, 1100001, 10]
            assert b"".join(content for _, content in parts(answer)) == (
                data[:1000000] + data[1500000:2600001] + data[2900000:2900010]
            )
    assert {answer.status_code for answer in answers} >= {206}


async def test_ranges_that_overlap_are_answered_as_one(site: Any, etag: str) -> None:
    answer = await site.get(SEGMENT, headers={"range": "bytes=0-99,50-199,-0"})
    assert (answer.status_code, answer.content) == (206, DATA[:200])
    assert answer.headers["content-range"] == f"bytes 0-199/{SIZE}"


async def test_hundreds_of_ranges_get_the_whole_object(site: Any, etag: str) -> None:
    field = "bytes=" + ",".join(f"{n * 300}-{n * 300}" for n in range(200))
    answer = await site.get(SEGMENT, headers={"range": field})
    assert (answer.status_code, answer.content) == (200, DATA)


async def test_range_means_nothing_for_head(site: Any, etag: str) -> None:
    answer = await site.client.head(f"{site.prefix}/{SEGMENT}", headers={"range": "bytes=0-1"})
    assert (answer.status_code, answer.headers["content-length"]) == (200, str(SIZE))


async def test_if_range_needs_the_same_strong_tag(site: Any, etag: str) -> None:
    for tag, status in [(etag, 206), (f"W/{etag}", 200), ('"other"', 200), ("Sat, 29 Oct", 200)]:
        answer = await site.get(SEGMENT, headers={"range": "bytes=0-1", "if-range": tag})
        assert answer.status_code == status, tag


async def test_if_range_with_bytes_beyond_ascii_names_no_tag_of_ours(site: Any, etag: str) -> None:
    head = f"GET {site.prefix}/{SEGMENT} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n".encode()
    answer = await site.raw(head + b'range: bytes=0-1\r\nif-range: "\xff"\r\n\r\n')
    assert answer.startswith(b"HTTP/1.1 200 ")


async def test_known_tag_is_answered_with_304(site: Any, etag: str) -> None:
    for tags in (etag, f"W/{etag}", "*", f'"x", {etag}'):
        for method in ("GET", "HEAD"):
            answer = await site.client.request(
                method, f"{site.prefix}/{SEGMENT}", headers={"if-none-match": tags}
            )
            assert (answer.status_code, answer.content) == (304, b"")
            assert answer.headers["etag"] == etag
            assert "immutable" in answer.headers["cache-control"]
    answer = await site.get(SEGMENT, headers={"if-none-match": '"x"'})
    assert answer.status_code == 200
    answer = await site.get(SEGMENT, headers={"if-none-match": etag, "range": "bytes=0-1"})
    assert answer.status_code == 304


async def test_other_tag_in_if_match_is_412(site: Any, etag: str) -> None:
    assert (await site.get(SEGMENT, headers={"if-match": '"x"'})).status_code == 412
    assert (await site.get(SEGMENT, headers={"if-match": etag})).status_code == 200


async def test_empty_object_has_length_zero_and_no_ranges(site: Any, etag: str) -> None:
    await site.put("video/360p/2.m4s", b"")
    answer = await site.get("video/360p/2.m4s")
    assert (answer.status_code, answer.headers["content-length"]) == (200, "0")
    answer = await site.get("video/360p/2.m4s", headers={"range": "bytes=0-"})
    assert answer.status_code == 416
