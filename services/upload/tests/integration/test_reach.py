"""No link, name or URL reaches a key that is not the upload's own."""

from hashlib import sha256
from typing import Any

import pytest

from reelay.common.storage import read_all

from .client import id_of, movie
from .conftest import BOTH_STORES, System

pytestmark = pytest.mark.integration

FILM = movie(2000)
BYTES = b"of somebody else"
SIGNED = "/api/v1/uploads/signed"
NAMES = ["../../keys/admin.json", "/etc/passwd", "..\\..\\keys", "keys/a\u202e.json", "%2e%2e/keys"]


async def begin(system: System, **more: Any) -> dict[str, Any]:
    order = {
        "size_bytes": len(FILM),
        "parts": [{"number": 1, "sha256": sha256(FILM).hexdigest()}],
        **more,
    }
    headers = {"authorization": f"Bearer {system.client.token}"}
    answer = await system.client.http.post("/api/v1/uploads/presigned", json=order, headers=headers)
    assert answer.status_code == 201, answer.text
    begun: dict[str, Any] = answer.json()
    return begun


@BOTH_STORES
@pytest.mark.parametrize("extra_settings", [{"UPLOAD_IMPORTS_AT_A_TIME": "0"}])
async def test_names_of_files_make_no_keys(system: System, store_kind: str) -> None:
    before = await system.keys("")
    own = set()
    headers = {"authorization": f"Bearer {system.client.token}"}
    for name in NAMES:
        path = await system.client.create(len(FILM), filename=name)
        assert (await system.client.patch(path, 0, FILM)).status_code == 204
        own.add(f"sources/{id_of(path)}")
        link = (await begin(system, filename=name))["parts"][0]
        answer = await system.client.http.put(link["url"], content=FILM, headers=link["headers"])
        assert answer.status_code == 200
        order = {"url": f"http://example.org/{name.replace(chr(0x202E), '')}", "filename": name}
        answer = await system.client.http.post("/api/v1/imports", json=order, headers=headers)
        assert answer.status_code == 202
        assert "/" not in answer.json()["filename"]
    assert set(await system.keys("")) - set(before) <= own


async def test_no_spelling_of_a_link_leads_to_another_key(system: System) -> None:
    await system.store.put("sources/other", BYTES)
    link = (await begin(system))["parts"][0]["url"]
    path, _, query = link.partition("?")
    key = path.removeprefix(f"{SIGNED}/")
    before = await system.keys("")
    for other in (
        *("sources/other", "sources%2fother", "%2e%2e/.secret", ".secret", "..%2f..%2fetc/passwd"),
        *(f"{key}/../other", f"{key}%2f..%2fother", f"{key}/", f"{key}%00", f"//{key}"),
        *(key.upper(), f"keys/{key}", "", "%5c..%5cother", ".parts/x"),
    ):
        for method in ("PUT", "GET", "HEAD"):
            answer = await system.client.http.request(
                method, f"{SIGNED}/{other}?{query}", content=FILM if method == "PUT" else None
            )
            assert answer.status_code in (403, 404, 405, 422), (method, other)
            assert BYTES not in answer.content
    assert await system.keys("") == before
    assert await read_all(system.store, "sources/other") == BYTES
