"""What is wrong with a file is said in a sentence; what can be played is played."""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import httpx
import pytest

from reelay.common.testing.media import Media, click_times_s, read_numbers

from .conftest import Instance

pytestmark = pytest.mark.e2e


def refused(instance: Instance, path: Path) -> str:
    """Publish a file that cannot be played; return the reason that a person reads."""
    done = instance.reelay("publish", "--json", str(path))
    assert done.returncode == 1, done.stdout
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["event"] == "failed"
    reason: str = last["reason"]
    assert "Traceback" not in done.stderr
    return reason


def test_truncated_mp4_ends_in_failed_with_advice(
    instance: Instance, media: Media, tmp_path: Path
) -> None:
    whole = media.numbered(4).read_bytes()
    path = tmp_path / "half.mp4"
    path.write_bytes(whole[: len(whole) // 2])
    assert "Upload the whole file again" in refused(instance, path)


@pytest.mark.parametrize(
    "content",
    [
        b"Dear Sir or Madam,\nthis is a letter and not a film.\n" * 100,
        b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile '/etc/passwd'\n",
        b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"/>',
    ],
    ids=["text", "playlist", "concat script", "mpd"],
)
def test_text_named_like_a_video_is_refused(
    instance: Instance, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(content)
    assert "not a video" in refused(instance, path)


def test_playlist_reaches_no_host_and_no_file(instance: Instance, tmp_path: Path) -> None:
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(3)

        def listen() -> None:
            try:
                connection, _ = server.accept()
                asked.append(connection.recv(100))
            except TimeoutError:
                return

        listener = Thread(target=listen)
        listener.start()
        path = tmp_path / "film.mp4"
        url = f"http://127.0.0.1:{server.getsockname()[1]}/secret.ts"
        path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{url}\n#EXT-X-ENDLIST\n")
        refused(instance, path)
        listener.join()
    assert asked == []


def test_empty_file_is_refused(instance: Instance, tmp_path: Path) -> None:
    path = tmp_path / "empty.mp4"
    path.touch()
    done = instance.reelay("publish", str(path))
    assert done.returncode == 1
    assert "empty" in done.stderr


def test_empty_upload_is_refused_by_the_server(instance: Instance) -> None:
    headers = {
        "authorization": f"Bearer {instance.token}",
        "tus-resumable": "1.0.0",
        "upload-length": "0",
    }
    answer = httpx.post(f"{instance.url}/api/v1/uploads", headers=headers, timeout=10)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def upload(instance: Instance, body: bytes, announced: int) -> tuple[httpx.Response, str]:
    """Announce a length and send a body of another; return the answer and the upload's URL."""
    headers = {"authorization": f"Bearer {instance.token}", "tus-resumable": "1.0.0"}
    with httpx.Client(base_url=instance.url, headers=headers, timeout=20) as client:
        created = client.post("/api/v1/uploads", headers={"upload-length": str(announced)})
        assert created.status_code == 201, created.text
        url = created.headers["location"]
        answer = client.patch(
            url,
            content=body,
            headers={"upload-offset": "0", "content-type": "application/offset+octet-stream"},
        )
        return answer, str(httpx.URL(instance.url).join(url))


def test_upload_longer_than_announced_is_refused(instance: Instance, media: Media) -> None:
    body = media.numbered(2).read_bytes()
    answer, _ = upload(instance, body, len(body) - 100)
    assert answer.status_code in (400, 413)
    assert answer.headers["content-type"] == "application/problem+json"


def test_upload_shorter_than_announced_waits_for_the_rest(instance: Instance, media: Media) -> None:
    body = media.numbered(2).read_bytes()
    answer, url = upload(instance, body[:-100], len(body))
    assert answer.status_code == 204
    headers = {"authorization": f"Bearer {instance.token}", "tus-resumable": "1.0.0"}
    assert httpx.head(url, headers=headers).headers["upload-offset"] == str(len(body) - 100)
    assert httpx.delete(url, headers=headers).status_code == 204


Maker = Callable[[Media], Path]

PLAYABLE: dict[str, Maker] = {
    "video without sound": lambda m: m.numbered(2, sound=False),
    "one pixel": lambda m: m.make(
        ["-f", "lavfi", "-i", "color=s=1x1:d=3", "-c:v", "ffv1", "-pix_fmt", "bgr0"], "mkv"
    ),
    "odd size": lambda m: m.make(
        ["-f", "lavfi", "-i", "testsrc2=s=321x241:d=2", "-c:v", "ffv1", "-pix_fmt", "bgr0"], "mkv"
    ),
    "portrait": lambda m: m.numbered(2, size=(180, 320)),
    "ten bits": lambda m: m.numbered(
        2,
        filters="format=yuv420p10le",
        video=("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none"),
    ),
    "browser recording": lambda m: m.numbered(
        3, video=("-c:v", "libvpx", "-deadline", "realtime"), audio=("-c:a", "libopus"),
        container="webm", output=("-live", "1"),
    ),
    "transport stream": lambda m: m.numbered(3, container="ts"),
}  # fmt: skip


@pytest.mark.parametrize("make", PLAYABLE.values(), ids=PLAYABLE)
def test_unusual_but_playable(instance: Instance, media: Media, make: Maker) -> None:
    events = instance.publish(make(media))
    assert events[-1]["event"] == "ready", events
    playable = next(e for e in events if e["event"] == "playable")
    assert read_numbers(playable["hls"])
    assert read_numbers(playable["dash"]) == read_numbers(playable["hls"])


def test_fifth_of_a_second_is_held_for_half_a_second(instance: Instance, media: Media) -> None:
    events = instance.publish(media.numbered(0.2))
    assert events[-1]["event"] == "ready", events
    playable = next(e for e in events if e["event"] == "playable")
    # By HLS alone: FFmpeg's DASH reader gives the pictures of a single segment twice.
    assert read_numbers(playable["hls"]) == [0, 1, 2, 3, 4, *[4] * 7]


def test_sound_without_video_plays(instance: Instance, media: Media) -> None:
    song = media.make(
        ["-f", "lavfi", "-t", "6", "-i",
         "aevalsrc='if(lt(mod(t,1),0.005),0.8*sin(2*PI*2000*t),0)':s=44100", "-c:a", "libmp3lame"],
        "mp3",
    )  # fmt: skip
    events = instance.publish(song)
    assert events[-1]["event"] == "ready", events
    playable = next(e for e in events if e["event"] == "playable")
    for url in (playable["hls"], playable["dash"]):
        clicks = [click for click in click_times_s(url) if click > 0.5]  # AAC fades in at 0
        assert len(clicks) == 5


def test_video_that_ends_early_is_held_to_its_planned_end_with_a_warning(
    instance: Instance, media: Media, tmp_path: Path
) -> None:
    whole = media.numbered(12, output=("-movflags", "+faststart"))
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    events = instance.publish(path)
    assert events[-1]["event"] == "ready", events
    playable = next(e for e in events if e["event"] == "playable")
    numbers = read_numbers(playable["hls"])
    assert len(numbers) == 300
    assert numbers[:100] == list(range(100))
    assert instance.video(playable["video_id"])["warnings"]
