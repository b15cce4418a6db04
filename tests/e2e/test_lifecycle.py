"""What is stored is verified, repaired, and goes away when nobody needs it; and never before."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from reelay.common.testing.media import Media, read_all_numbers
from reelay.common.testing.servers import wait_until

from .conftest import Instance

pytestmark = pytest.mark.e2e


def findings(instance: Instance, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
    done = instance.reelay(*arguments, "--json")
    assert done.returncode == code, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def flip(path: Path) -> bytes:
    """Damage a file as a disk may: one byte in its middle; return what it was."""
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.chmod(0o644)
    path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    return whole


def objects(instance: Instance, prefix: str) -> list[Path]:
    folder = instance.data / "store" / prefix
    return [path for path in folder.rglob("*") if path.is_file()]


def test_damaged_package_is_found_and_repaired_by_encoding_again(
    own_instance: Instance, media: Media
) -> None:
    ready = own_instance.publish(media.numbered(20, "25", (854, 480)))[-1]
    assert ready["event"] == "ready"
    package_id = own_instance.video(ready["video_id"])["package_id"]
    folder = own_instance.data / "store" / "packages" / package_id
    assert all(not f["damaged"] for f in findings(own_instance, "verify"))
    damaged = ["video/480p/4.m4s", "video/360p/init.mp4", "audio/main/2.m4s", "master.m3u8"]
    whole = {path: flip(folder / path) for path in damaged}
    found = {f["name"]: f for f in findings(own_instance, "verify", code=1)}
    assert sorted(d["path"] for d in found[package_id]["damaged"]) == sorted(damaged)
    mistyped = own_instance.reelay("verify", "f" * 64)
    assert mistyped.returncode == 1
    assert "f" * 64 in mistyped.stderr
    [verdict] = findings(own_instance, "verify", "--repair", package_id)
    assert verdict["repair"] == "encoding"

    def is_repaired() -> bool:
        lines = own_instance.reelay("verify", "--json").stdout.splitlines()
        packages = [f for f in map(json.loads, lines) if f["kind"] == "package"]
        return len(packages) == 1 and not packages[0]["damaged"]

    wait_until(is_repaired, "the package is whole", 120)
    assert own_instance.video(ready["video_id"])["package_id"] == package_id
    assert {path: (folder / path).read_bytes() for path in damaged} == whole
    assert read_all_numbers(ready["hls"], 2) == [list(range(500))] * 2


def test_damaged_source_is_found(own_instance: Instance, media: Media) -> None:
    own_instance.publish(media.numbered(4, "25", (320, 180)))
    [source] = objects(own_instance, "sources")
    flip(source)
    found = [f for f in findings(own_instance, "verify", code=1) if f["damaged"]]
    assert [f["kind"] for f in found] == ["source"]
    assert "asset_id" in found[0]["damaged"][0]["problem"]


def test_bytes_go_when_the_last_video_that_needs_them_is_deleted(
    own_instance: Instance, media: Media
) -> None:
    source = media.numbered(8, "25", (320, 180))
    first, second = [own_instance.publish(source)[-1]["video_id"] for _ in range(2)]
    package_id = own_instance.video(first)["package_id"]
    assert own_instance.video(second)["package_id"] == package_id
    url = f"{own_instance.url}/api/v1/content/{package_id}/video/180p/1.m4s"
    own_instance.delete(first)
    assert findings(own_instance, "gc", "--grace-hours", "0") == []
    assert httpx.get(url).status_code == 200
    own_instance.delete(second)
    assert findings(own_instance, "gc") == []

    def would_go() -> set[str]:
        lines = own_instance.reelay("gc", "--dry-run", "--grace-hours", "0", "--json").stdout
        return {json.loads(line)["kind"] for line in lines.splitlines()}

    wait_until(lambda: "package" in would_go(), "the deletion is heard", 20)
    os.kill(own_instance.pids()["packager"], signal.SIGKILL)  # whatever it was doing

    def all_gone() -> bool:
        own_instance.reelay("gc", "--grace-hours", "0")
        return not any(objects(own_instance, prefix) for prefix in ("packages", "sources"))

    wait_until(all_gone, "all is gone", 60)
    assert objects(own_instance, "staging") == []
    again = own_instance.publish(source)[-1]
    assert again["event"] == "ready"
    assert own_instance.video(again["video_id"])["package_id"] == package_id
    assert httpx.get(url).status_code == 200
    assert all(not f["damaged"] for f in findings(own_instance, "verify"))
