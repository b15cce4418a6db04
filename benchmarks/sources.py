"""Sources for benchmarks: real enough to cost what films cost, made once, cached."""

import os
from pathlib import Path

from reelay.common.testing.media import Media

CACHE = Path(__file__).parents[1] / ".cache" / "bench"

PICTURE = (
    "mandelbrot=s=1920x1080:r=25:start_scale=3:end_scale=0.05:end_pts=1500,"
    "noise=alls=6:allf=t:all_seed=7"
)
"""A moving, detailed picture with some grain."""

SOUND = "anoisesrc=color=pink:sample_rate=48000:amplitude=0.5:seed=7"
"""Sound that costs an encoder what music does; that of pure tones would be too cheap."""


def film(seconds: int, keyframe_every_s: int = 5) -> Path:
    """Return a 1080p25 film with sound, as a camera would make it."""
    gop = str(25 * keyframe_every_s)
    return Media(CACHE).make(
        ["-f", "lavfi", "-i", PICTURE, "-f", "lavfi", "-i", SOUND, "-t", str(seconds),
         "-c:v", "libx264", "-preset", "superfast", "-crf", "20", "-g", gop,
         "-keyint_min", gop, "-sc_threshold", "0", "-pix_fmt", "yuv420p", "-c:a", "aac",
         "-movflags", "+faststart"], "mp4",
    )  # fmt: skip


CLIP_S = 120


def long_film(seconds: int) -> Path:
    """Return a 1080p25 film of any length, of low complexity, with a keyframe every 5 s.

    Longer ones repeat a clip of two minutes without encoding it again; every second is there.
    """
    clip = Media(CACHE).make(
        ["-f", "lavfi", "-i", "testsrc2=s=1920x1080:r=25", "-f", "lavfi", "-i", SOUND,
         "-t", str(min(seconds, CLIP_S)), "-c:v", "libx264",
         "-preset", "ultrafast", "-tune", "fastdecode", "-crf", "30", "-g", "125",
         "-keyint_min", "125", "-sc_threshold", "0", "-pix_fmt", "yuv420p", "-c:a", "aac",
         "-b:a", "64k", "-movflags", "+faststart"], "mp4",
    )  # fmt: skip
    if seconds <= CLIP_S:
        return clip
    return Media(CACHE).make(
        ["-stream_loop", str(seconds // CLIP_S - 1), "-i", str(clip), "-c", "copy",
         "-movflags", "+faststart"], "mp4",
    )  # fmt: skip


def unlike_others() -> bytes:
    """Return a `free` box of random bytes: appended to an MP4 it changes nothing but its hash."""
    return b"\0\0\0\x18free" + os.urandom(16)
