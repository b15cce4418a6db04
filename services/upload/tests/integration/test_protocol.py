"""What a tus client and a browser find."""

import pytest

from reelay.common.events import AssetUploaded, AssetUploadTerminated
from reelay.common.identity import MAX_ASSET_BYTES

from .client import PART, id_of, metadata, movie
from .conftest import BOTH_STORES, System

pytestmark = pytest.mark.integration


async def test_options_say_what_the_server_can_do(system: System) -> None:
    response = await system.client.http.options("/api/v1/uploads")
    assert response.status_code == 204
    assert response.headers["tus-version"] == "1.0.0"
    extensions = response.headers["tus-extension"].split(",")
    assert set(extensions) == {
        "creation",
        "creation-with-upload",
        "creation-defer-length",
        "termination",
        "expiration",
        "checksum",
        "concatenation",
    }
    assert response.headers["tus-checksum-algorithm"] == "sha1,sha256"
    assert response.headers["tus-max-size"] == str(MAX_ASSET_BYTES)


async def test_browser_of_another_origin_may_upload(system: System) -> None:
    preflight = await system.client.http.options(
        "/api/v1/uploads/x",
        headers={
            "Origin": "https://videos.example",
            "Access-Control-Request-Method": "PATCH",
            "Access-Control-Request-Headers": "authorization,tus-resumable,upload-offset",
        },
    )
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "PATCH" in preflight.headers["access-control-allow-methods"]
    headers = system.client.headers(Upload_Length=100, Origin="https://videos.example")
    response = await system.client.http.post("/api/v1/uploads", headers=headers)
    exposed = response.headers["access-control-expose-headers"].lower()
    assert {"location", "upload-offset", "tus-resumable"} <= set(exposed.split(", "))
    refused = await system.client.http.post(
        "/api/v1/uploads", headers={"Origin": "https://videos.example"}
    )
    assert refused.headers["access-control-allow-origin"] == "*", "the reason must be readable"


async def test_location_does_not_depend_on_the_host_that_was_asked(system: System) -> None:
    headers = system.client.headers(
        Upload_Length=100, Host="intern:1", X_Forwarded_Host="out.example"
    )
    response = await system.client.http.post("/api/v1/uploads", headers=headers)
    assert response.headers["location"].startswith("/api/v1/uploads/")


async def test_head_tells_all_and_is_not_cached(system: System) -> None:
    path = await system.client.create(5000, filename="ä.mp4")
    response = await system.client.head(path)
    assert response.status_code == 200
    assert response.headers["upload-offset"] == "0"
    assert response.headers["upload-length"] == "5000"
    assert response.headers["upload-metadata"] == metadata(filename="ä.mp4")
    assert response.headers["cache-control"] == "no-store"
    assert "GMT" in response.headers["upload-expires"]


@BOTH_STORES
async def test_withdrawn_upload_is_gone_with_its_bytes(system: System, store_kind: str) -> None:
    data = movie(2 * PART)
    path = await system.client.create(len(data))
    await system.client.patch(path, 0, data[: PART + 1000])
    assert await system.keys("staging/") != []
    assert (await system.client.delete(path)).status_code == 204
    [fact] = await system.facts(AssetUploadTerminated, 1)
    assert fact.upload_id == id_of(path)
    assert await system.keys("") == [key for key in await system.keys("keys/")]
    assert (await system.client.head(path)).status_code == 410
    assert (await system.client.patch(path, 0, data)).status_code == 410
    assert (await system.client.delete(path)).status_code == 410


async def test_withdrawal_ends_a_running_request(system: System) -> None:
    data = movie(3_000_000)
    path = await system.client.create(len(data))
    with system.client.half_open(path, 0, len(data), data[:1_000_000]):
        assert (await system.client.delete(path)).status_code == 204
    assert (await system.client.head(path)).status_code == 410
    assert await system.keys("staging/") == []


async def test_complete_upload_cannot_be_withdrawn(system: System) -> None:
    path = await system.client.create(5000)
    await system.client.patch(path, 0, movie(5000))
    assert (await system.client.delete(path)).status_code == 409
    assert len(await system.keys("sources/")) == 1


async def test_method_may_be_overridden(system: System) -> None:
    path = await system.client.create(5000)
    headers = system.client.headers(
        Upload_Offset=0,
        Content_Type="application/offset+octet-stream",
        X_HTTP_Method_Override="PATCH",
    )
    response = await system.client.http.post(path, headers=headers, content=movie(5000))
    assert response.status_code == 204
    assert len(await system.facts(AssetUploaded, 1)) == 1


async def test_unknown_uploads_and_paths_are_not_found(system: System) -> None:
    for name in ("nonsense", "018f0000-0000-7000-8000-000000000000"):
        assert (await system.client.head(f"/api/v1/uploads/{name}")).status_code == 404
    assert (await system.client.http.get("/api/v1/elsewhere")).status_code == 404


async def test_routes_are_described(system: System) -> None:
    paths = (await system.client.http.get("/openapi.json")).json()["paths"]
    assert {"options", "post"} <= set(paths["/api/v1/uploads"])
    assert {"head", "patch", "delete"} <= set(paths["/api/v1/uploads/{upload_id}"])
