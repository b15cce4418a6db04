"""The comparison partners: FFmpeg and Shaka Packager called by hand with the same settings."""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from reelay.common.testing.media import ffmpeg_binary, shaka_binary

LADDER_NICE = 10
"""What encoders give their own on the ladder lane."""
AUDIO_OPTIONS = [
    "-c:a", "aac", "-aac_coder", "fast", "-b:a", "128k", "-ar", "48000", "-ac", "2",
]  # fmt: skip


def video_options(rendition: dict[str, Any], rules: dict[str, Any], gop: int) -> list[str]:
    """Return FFmpeg's options for one rung as the recipe has them."""
    rate = rendition["maxrate_bps"]
    return [
        "-c:v", "libx264", "-preset", rules["preset"], "-crf", str(rules["crf"]),
        "-maxrate", str(rate), "-bufsize", str(rate), "-profile:v", rules["profile"],
        "-level", rendition["level"], "-g", str(gop), "-refs", str(rules["refs"]),
        "-bf", str(rules["bframes"]), "-sc_threshold", "0", "-x264-params", "vbv-init=0.5",
    ]  # fmt: skip


@contextmanager
def ladder(source: Path, recipe: dict[str, Any]) -> Iterator["Ladder"]:
    """Run one plain FFmpeg that makes the whole ladder, beside whatever else runs."""
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(_ladder(source, recipe, folder), start_new_session=True)
        os.setpriority(os.PRIO_PROCESS, process.pid, LADDER_NICE)
        with suppress(OSError):  # see the encoder's _lower_autogroup
            Path(f"/proc/{process.pid}/autogroup").write_text(str(LADDER_NICE))
        try:
            yield Ladder(process)
        finally:
            if process.returncode is None:
                process.kill()
                process.wait()


class Ladder:
    """A plain FFmpeg at work. Made by `ladder`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def cpu_s(self) -> float:
        """Wait for its end; return its CPU time in seconds."""
        _, status, usage = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        if self._process.returncode:
            raise RuntimeError("plain FFmpeg failed")
        return usage.ru_utime + usage.ru_stime


def two_at_once(source: Path, recipe: dict[str, Any], seconds: int = 15) -> float:
    """Return what two cores gain: wall time of half the work on each ÷ that of all on one of them.

    The work is the ladder of the source's first seconds, by plain FFmpegs of one thread: 0.5 where
    cores share nothing. It tells of a moment, on a machine that changes its speed.
    """
    alone = _ladders_s(source, recipe, seconds, [0])
    return _ladders_s(source, recipe, seconds, [0, 1]) / (2 * alone)


def _ladders_s(source: Path, recipe: dict[str, Any], seconds: int, cores: list[int]) -> float:
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        processes = []
        for core in cores:
            Path(folder, str(core)).mkdir()
            argv = _ladder(source, recipe, f"{folder}/{core}", seconds)
            processes.append(subprocess.Popen(["taskset", "-c", str(core), *argv]))
        if any([process.wait() for process in processes]):
            raise RuntimeError("plain FFmpeg failed")
    return time.monotonic() - began


def _ladder(
    source: Path, recipe: dict[str, Any], folder: str, first_s: int | None = None
) -> list[str]:
    """Return the command; with `first_s` for so much of the source, by one thread."""
    rungs = recipe["ladder"]
    split = f"[0:v]split={len(rungs)}" + "".join(f"[s{i}]" for i in range(len(rungs)))
    scales = [f"[s{i}]scale={r['width']}:{r['height']}[v{i}]" for i, r in enumerate(rungs)]
    gop = 4 * round(recipe["rate"][0] / recipe["rate"][1])
    threads = [] if first_s is None else ["-threads", "1"]
    length = [] if first_s is None else ["-t", str(first_s)]
    argv = [ffmpeg_binary(), "-v", "error", *length, *threads, "-i", str(source),
            "-filter_complex", ";".join([split, *scales])]  # fmt: skip
    for i, rung in enumerate(rungs):
        argv += ["-map", f"[v{i}]", *video_options(rung, recipe["video"], gop), *threads]
        argv += [f"{folder}/{i}.mp4"]
    return [*argv, "-map", "0:a:0", *AUDIO_OPTIONS, f"{folder}/audio.mp4"]


def segment_s(source: Path, recipe: dict[str, Any], first_frame: int, frames: int) -> float:
    """Return the wall time that FFmpeg and then Shaka Packager need for one low segment.

    The video of the lowest rung and its sound, by hand, one after the other.
    """
    rung, rules = recipe["ladder"][0], recipe["video"]
    rate = recipe["rate"][0] / recipe["rate"][1]
    start = first_frame / rate
    seek = ["-ss", f"{start:.6f}"] if first_frame else []
    with tempfile.TemporaryDirectory() as folder:
        video, audio = f"{folder}/v.mp4", f"{folder}/a.mp4"
        flags = "+frag_keyframe+empty_moov+default_base_moof"
        began = time.monotonic()
        subprocess.run(
            [ffmpeg_binary(), "-v", "error", *seek, "-i", str(source), "-map", "0:v:0", "-vf",
             f"scale={rung['width']}:{rung['height']}", "-frames:v", str(frames),
             *video_options(rung, rules, 4 * round(rate)), "-movflags", flags, video,
             "-map", "0:a:0", "-t", f"{frames / rate:.3f}", *AUDIO_OPTIONS,
             "-movflags", flags, audio],
            check=True,
        )  # fmt: skip
        subprocess.run(
            [shaka_binary(), "--quiet", "--segment_duration", "1000",
             f"in={video},stream=video,init_segment={folder}/vi.mp4,"
             f"segment_template={folder}/v$Number$.m4s",
             f"in={audio},stream=audio,init_segment={folder}/ai.mp4,"
             f"segment_template={folder}/a$Number$.m4s"],
            check=True, capture_output=True,
        )  # fmt: skip
        return time.monotonic() - began
