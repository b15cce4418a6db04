"""Sources for benchmarks: real enough to cost what films cost, made once, cached."""

import os
from pathlib import Path

from reelay.common.testing.media import Media

CACHE = Path(__file__).parents[1] / ".cache" / "bench"

ZOOM = "mandelbrot=s=1920x1080:r=25:start_scale=3:end_scale=0.05:end_pts=1500"
"""A moving, detailed picture."""

SOUND = "anoisesrc=color=pink:sample_rate=48000:amplitude=0.5:seed=7"
"""Sound that costs an encoder what music does; that of pure tones would be too cheap."""


CLIP_S = 120


def film(seconds: int) -> Path:
    """Return a 1080p25 film with sound and grain as a good camera makes it: 40 Mb/s."""
    return _zoom(seconds, noise=6, crf=20)


def everyday_film(seconds: int) -> Path:
    """Return a 1080p25 film with sound as people upload it: 11 Mb/s, with CABAC and deblocking.

    YouTube asks for 8 Mb/s of such films, telephones record 17. Longer ones repeat a clip of two
    minutes.
    """
    return _repeated(_zoom(min(seconds, CLIP_S), noise=3, crf=23), seconds)


def long_film(seconds: int) -> Path:
    """Return a 1080p25 film of any length, of low complexity: 8 Mb/s, cheap to decode."""
    clip = _h264(
        "testsrc2=s=1920x1080:r=25", min(seconds, CLIP_S), "ultrafast",
        ["-tune", "fastdecode", "-crf", "30", "-b:a", "64k"],
    )  # fmt: skip
    return _repeated(clip, seconds)


def _zoom(seconds: int, noise: int, crf: int) -> Path:
    picture = f"{ZOOM},noise=alls={noise}:allf=t:all_seed=7"
    return _h264(picture, seconds, "superfast", ["-crf", str(crf)])


def _h264(picture: str, seconds: int, preset: str, options: list[str]) -> Path:
    """Make a film with a keyframe every 5 s."""
    return Media(CACHE).make(
        ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", SOUND, "-t", str(seconds),
         "-c:v", "libx264", "-preset", preset, "-g", "125", "-keyint_min", "125",
         "-sc_threshold", "0", "-pix_fmt", "yuv420p", "-c:a", "aac", *options,
         "-movflags", "+faststart"], "mp4",
    )  # fmt: skip


def _repeated(clip: Path, seconds: int) -> Path:
    """Return a clip again and again, without encoding it again; every second is there."""
    if seconds <= CLIP_S:
        return clip
    return Media(CACHE).make(
        ["-stream_loop", str(seconds // CLIP_S - 1), "-i", str(clip), "-c", "copy",
         "-movflags", "+faststart"], "mp4",
    )  # fmt: skip


def unlike_others() -> bytes:
    """Return a `free` box of random bytes: appended to an MP4 it changes nothing but its hash."""
    return b"\0\0\0\x18free" + os.urandom(16)
