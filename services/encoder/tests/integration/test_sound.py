"""Sound stays where it was, and chunks of it join without a seam."""

import math
from collections.abc import Sequence

import pytest

from reelay.encoder.domain.boxes import split_boxes
from reelay.encoder.domain.cutting import SILENT_AAC_FRAME, EncodedSegment

from .conftest import words

pytestmark = pytest.mark.integration


RATE = 48_000
CHIRPS = "+".join(f"0.1*sin(2*PI*({base}*t+{sweep}*t*t))" for base, sweep in (
    (110, 7), (523, 31), (1200, -57), (3100, 113),
))  # fmt: skip
"""Tones that never repeat; for noise the encoder would put other noise (PNS)."""


def sound(media, name: str, rate: int, seconds: float, *extra: str):
    """A small picture with steady, unrepeatable sound."""
    noise = f"aevalsrc='{CHIRPS}':s={rate}:d={seconds}"
    return media.make(
        name, *words("-f lavfi -i color=s=64x64:r=25:d=8 -f lavfi -i"), noise,
        *words("-c:v libx264 -preset ultrafast -threads 1 -ac 2"), *extra,
    )  # fmt: skip


def click(media, name: str, at_s: float, delay_s: float, *extra: str):
    """Silence with one click `at_s` after the start; the sound itself starts `delay_s` late."""
    place = round((at_s - delay_s) * RATE)
    tone = f"aevalsrc='if(between(n,{place},{place + 9}),0.9,0)':s={RATE}:d=6"
    return media.make(
        name, *words("-f lavfi -i color=s=64x64:r=25:d=7"),
        *("-itsoffset", str(delay_s), "-f", "lavfi", "-i", tone),
        *words("-c:v libx264 -preset ultrafast -threads 1 -c:a flac -strict -2"), *extra,
    )  # fmt: skip


def joined(segments: Sequence[EncodedSegment]) -> bytes:
    """One file of all segments: the first init segment, then every fragment."""
    parts = [segments[0].data]
    for segment in segments[1:]:
        boxes = split_boxes(segment.data)
        parts.append(b"".join(box.data for box in boxes if box.kind in ("moof", "mdat")))
    return b"".join(parts)


def snr_db(signal: Sequence[int], other: Sequence[int]) -> float:
    power = sum(one * one for one in signal)
    error = sum((one - two) ** 2 for one, two in zip(signal, other, strict=True))
    return math.inf if error == 0 else 10 * math.log10(power / error)


def peak(samples: Sequence[int]) -> int:
    return max(range(len(samples)), key=lambda i: abs(samples[i]))


@pytest.mark.parametrize("pictures", [False, True], ids=["sound", "beside-pictures"])
@pytest.mark.parametrize("rate", [44_100, 48_000, 32_000, 22_050])
async def test_chunks_join_without_a_seam(media, make_task, bench, rate, pictures):
    path = sound(media, f"tones-{rate}.mp4", rate, 8, *words("-g 35 -c:a aac -b:a 256k"))
    whole = await bench.encode(path, make_task(path, segments=(), audio_segments=[300]))
    parts = []
    for first, runs in ((0, [47, 47]), (94, [94]), (188, [100, 12])):
        shown = {"first": first * 25 // 47, "segments": [25] * len(runs) if pictures else ()}
        task = make_task(path, **shown, audio_first=first, audio_segments=runs, audio_rate_hz=rate)
        made = await bench.encode(path, task)
        parts += [segment for segment in made if segment.rendition == "audio"]
    one, many = media.samples(joined(whole)), media.samples(joined(parts))
    assert len(one) == len(many) == 300 * 1024
    for seam in (94, 188):
        around = slice((seam - 3) * 1024, (seam + 3) * 1024)
        elsewhere = slice((seam + 20) * 1024, (seam + 26) * 1024)
        at_seam, inside = (snr_db(one[part], many[part]) for part in (around, elsewhere))
        assert at_seam > 30, (seam, at_seam, inside)
        assert at_seam > inside - 12, (seam, at_seam, inside)


@pytest.mark.parametrize("delay_s", [0.0, 0.5])
@pytest.mark.parametrize("container", ["mp4", "mkv"])
async def test_click_stays_at_its_time(media, make_task, bench, delay_s, container):
    path = click(media, f"click.{container}", 2.25, delay_s)
    demuxer = {"mp4": "mov", "mkv": "matroska"}[container]
    for first in (0, 60, 100):
        task = make_task(
            path, segments=(), audio_first=first, audio_segments=[20, 90], demuxer=demuxer
        )
        samples = media.samples(joined(await bench.encode(path, task)))
        heard_s = (first * 1024 + peak(samples)) / RATE
        assert abs(samples[peak(samples)]) > 3000
        assert abs(heard_s - 2.25) < 0.001, f"chunk from {first}"


@pytest.mark.parametrize("first", [25, 50])
async def test_sound_before_the_first_picture_is_kept(media, make_task, bench, first):
    path = media.make(
        "late-picture.mp4", *words("-f lavfi -i sine=sample_rate=48000:d=6 -itsoffset 3"),
        *words("-f lavfi -i color=s=64x64:r=25:d=3 -map 1:v -map 0:a -c:v libx264"),
        *words("-preset ultrafast -threads 1 -c:a aac"),
    )  # fmt: skip
    task = make_task(
        path, first=first, segments=[25], audio_first=first * 47 // 25, audio_segments=[20]
    )
    made = await bench.encode(path, task)
    [heard] = [segment for segment in made if segment.rendition == "audio"]
    assert max(map(abs, media.samples(heard.data))) > 2000


async def test_late_sound_begins_with_silence(media, make_task, bench):
    path = click(media, "click-late.mp4", 2.25, 0.5)
    task = make_task(path, segments=(), audio_segments=[120])
    samples = media.samples(joined(await bench.encode(path, task)))
    assert len(samples) == 120 * 1024
    assert max(map(abs, samples[: RATE // 2])) < 50


async def test_sound_that_ends_early_is_followed_by_silence(media, make_task, bench):
    path = sound(media, "short-sound.mp4", 44_100, 3, "-c:a", "aac")
    for first, runs in ((94, [94, 94]), (282, [47])):
        task = make_task(path, segments=(), audio_first=first, audio_segments=runs)
        made = await bench.encode(path, task)
        assert [segment.spec.frames for segment in made] == runs
        samples = media.samples(joined(made))
        assert len(samples) == sum(runs) * 1024
        assert max(map(abs, samples[-40 * 1024 :])) < 20


async def damaged(media, make_task, bench, kind: str):
    """Encode a chunk of a source whose packets of one kind ("v" or "a") are noise."""
    picture = media.numbered("constant.mp4", "25", 150)
    tone = words("-f lavfi -i sine=sample_rate=48000 -t 6 -c:v copy -c:a aac")
    whole = media.make("with-tone.mp4", "-i", str(picture), *tone)
    noise = words(f"-c copy -bsf:{kind} noise=amount=1")
    path = media.make(f"damaged-{kind}.mp4", "-i", str(whole), *noise)
    task = make_task(path, "25", 50, [25], audio_first=94, audio_segments=[47])
    made = {segment.rendition: segment for segment in await bench.encode(path, task)}
    return made["180p"], made["audio"]


async def test_damaged_sound_does_not_hinder_the_picture(media, make_task, bench):
    picture, audio = await damaged(media, make_task, bench, "a")
    assert media.numbers(picture.data) == list(range(50, 75))
    assert not picture.warnings
    assert len(media.samples(audio.data)) == 47 * 1024


@pytest.mark.parametrize("kept", [0.5, 0.7, 0.9])
async def test_sound_of_a_file_that_breaks_off_is_made_whole(
    media, make_task, bench, tmp_path, kept
):
    whole = sound(media, "to-be-cut.mp4", 48_000, 8, *words("-c:a aac -movflags +faststart"))
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * kept)])
    task = make_task(path, segments=(), audio_first=94, audio_segments=[188, 90])
    made = await bench.encode(path, task)
    assert [segment.spec.frames for segment in made] == [188, 90]
    samples = media.samples(joined(made))
    assert len(samples) == 278 * 1024
    assert max(map(abs, samples[: 20 * 1024])) > 2000


@pytest.mark.parametrize("_run", range(8))  # FFmpeg ends at any moment of the sound
async def test_damaged_picture_does_not_hinder_the_sound(media, make_task, bench, _run):
    picture, audio = await damaged(media, make_task, bench, "v")
    assert media.numbers(picture.data) == [0] * 25
    assert picture.warnings
    assert max(map(abs, media.samples(audio.data))) > 2000
    assert not audio.warnings


async def test_picture_and_sound_of_a_chunk_come_from_one_run(media, make_task, bench):
    path = sound(media, "noise-44100.mp4", 44_100, 8, "-c:a", "aac", "-b:a", "256k")
    task = make_task(
        path, "25", 50, [25, 25], sizes=[(64, 64)], audio_first=94, audio_segments=[47, 47]
    )
    made = await bench.encode(path, task)
    assert sorted((s.rendition, s.spec.number) for s in made) == [
        ("64p", 1), ("64p", 2), ("audio", 1), ("audio", 2),
    ]  # fmt: skip


def test_frame_of_silence_is_what_the_encoder_makes_of_silence(media):
    made = media.run(*words("-f lavfi -i anullsrc=r=48000:cl=stereo -t 0.5 -c:a aac -f adts -"))
    assert made.endswith(SILENT_AAC_FRAME)
