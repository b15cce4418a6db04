"""FFmpeg is limited, is missed when it fails, and never outlives the encoder."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from reelay.common import launcher
from reelay.common.commands import Lane
from reelay.common.storage.port import ObjectMissingError
from reelay.encoder.adapters.process import Limits
from reelay.encoder.adapters.providers import NoProviderError, find_abilities
from reelay.encoder.domain.errors import FFmpegFailedError, FFmpegHungError
from reelay.encoder.domain.source import ForbiddenSourceError

from .conftest import words
from .processes import pids_with, running_as, script, state, until_gone

pytestmark = pytest.mark.integration

LIMITS = Limits(memory_bytes=4 << 30, wall_s=60, no_progress_s=20)


@pytest.fixture
def video(media) -> Path:
    return media.numbered("constant.mp4", "25", 150)


async def test_failing_program_is_transient_and_shows_its_log(bench, make_task, video, tmp_path):
    program = script(tmp_path / "broken", "echo something is wrong >&2", "exit 3")
    with pytest.raises(FFmpegFailedError) as caught:
        await bench.encode(video, make_task(video), program=program)
    assert "status 3" in str(caught.value)
    assert caught.value.log_tail == "something is wrong"


async def test_killed_program_is_transient(bench, make_task, video, tmp_path):
    program = script(tmp_path / "killed", "kill -9 $$")
    with pytest.raises(FFmpegFailedError, match="status -9"):
        await bench.encode(video, make_task(video), program=program)


async def test_program_has_ended_when_nobody_wants_more_of_its_segments(
    bench, make_task, media, video, tmp_path
):
    program = script(tmp_path / "unwanted", f'"{media.ffmpeg}" "$@"', "while sleep 1; do :; done")
    await bench.store.put(make_task(video).source.key, video)
    segments = bench.transcoder(program=program).transcode(make_task(video, segments=[25, 25]))
    assert (await anext(segments)).spec.number == 1
    assert pids_with(program)
    await segments.aclose()
    assert not pids_with(program)


@pytest.mark.parametrize("end", ["kill -9 $$", "exit 255", "exit 1"])
async def test_interrupted_program_is_not_taken_for_the_end_of_the_sound(
    bench, make_task, media, tmp_path, end
):
    sound = words("-f lavfi -i color=s=64x64:r=25:d=8 -f lavfi -i sine=d=3 -c:a aac -threads 1")
    video = media.make("sound-of-3-s.mp4", *sound)
    program = script(tmp_path / "interrupted", f'"{media.ffmpeg}" "$@"', end)
    task = make_task(video, segments=(), audio_segments=[200])
    with pytest.raises(FFmpegFailedError, match="status"):
        await bench.encode(video, task, program=program)
    [whole] = await bench.encode(video, task)
    assert len(media.samples(whole.data)) == 200 * 1024


async def test_silent_program_is_killed(bench, make_task, video, tmp_path):
    program = script(tmp_path / "hung", "sleep 600")
    limits = replace(LIMITS, no_progress_s=0.6)
    with pytest.raises(FFmpegHungError, match="stood still"):
        await bench.encode(video, make_task(video), program=program, limits=limits)
    await until_gone(str(tmp_path / "hung"))


async def test_program_that_closes_its_outputs_and_stays_is_killed(
    bench, make_task, media, video, tmp_path
):
    stay = f'exec "{sys.executable}" -c "import os, time; os.closerange(3, 300); time.sleep(600)"'
    program = script(tmp_path / "staying", f'"{media.ffmpeg}" "$@"', stay)
    limits = replace(LIMITS, no_progress_s=2.0)
    with pytest.raises(FFmpegHungError, match="stood still"):
        await bench.encode(video, make_task(video), program=program, limits=limits)


async def test_endless_program_is_killed(bench, make_task, video, tmp_path):
    program = script(tmp_path / "endless", "while true; do echo busy >&2; sleep 0.1; done")
    limits = replace(LIMITS, wall_s=0.8)
    with pytest.raises(FFmpegHungError, match="longer"):
        await bench.encode(video, make_task(video), program=program, limits=limits)


async def test_time_while_stopped_does_not_count(bench, make_task, media, video, tmp_path):
    program = script(tmp_path / "slow", "sleep 2", f'exec "{media.ffmpeg}" "$@"')
    limits = replace(LIMITS, wall_s=6.0, no_progress_s=6.0)
    encoding = asyncio.create_task(
        bench.encode(video, make_task(video), program=program, limits=limits)
    )
    found = await running_as(str(tmp_path / "slow"))
    os.killpg(found, signal.SIGSTOP)
    await asyncio.sleep(7.0)
    os.killpg(found, signal.SIGCONT)
    assert len(await encoding) == 1


async def test_time_in_which_its_output_waits_for_us_does_not_count(bench, make_task, media):
    picture = words("-f lavfi -i testsrc2=s=1280x720:r=25:d=24,noise=alls=40:allf=t")
    noisy = media.make("noisy.mp4", *picture, *words("-c:v libx264 -preset ultrafast"))
    task = make_task(noisy, segments=[10] * 60, sizes=[(1280, 720)], lane=Lane.LADDER)
    await bench.store.put(task.source.key, noisy)
    made = 0
    transcoder = bench.transcoder(limits=replace(LIMITS, no_progress_s=2.0))
    async for _ in transcoder.transcode(task):
        made += 1
        if made == 1:
            await asyncio.sleep(8.0)  # as while a store takes its time: more is made than is kept
    assert made == 60


async def test_abandoned_chunk_leaves_no_process_and_no_task(bench, make_task, video, tmp_path):
    program = script(tmp_path / "abandoned", "sleep 600")
    before = asyncio.all_tasks()
    encoding = asyncio.create_task(bench.encode(video, make_task(video), program=program))
    await running_as(str(tmp_path / "abandoned"))
    encoding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await encoding
    assert asyncio.all_tasks() == before
    await until_gone(str(tmp_path / "abandoned"))


async def test_memory_is_limited(bench, make_task, video):
    limits = replace(LIMITS, memory_bytes=64 << 20)
    with pytest.raises(FFmpegFailedError):
        await bench.encode(video, make_task(video), limits=limits)


@pytest.mark.parametrize("started_by", ["util-linux", "ourselves"])
async def test_program_can_write_no_file(
    bench, make_task, video, tmp_path, monkeypatch, started_by
):
    if started_by == "ourselves":
        monkeypatch.setattr(launcher, "_small_programs", lambda: None)
    program = script(tmp_path / "writer", f"echo stolen > {tmp_path}/stolen", "exit 1")
    with pytest.raises(FFmpegFailedError):
        await bench.encode(video, make_task(video), program=program)
    assert not (tmp_path / "stolen").exists() or (tmp_path / "stolen").read_bytes() == b""


ENCODE_FOR_EVER = """
import asyncio, sys
from reelay.encoder.adapters.pipes import OutputPipes
from reelay.encoder.adapters.process import Limits, running

async def main():
    argv = [sys.argv[1], "-f", "lavfi", "-re", "-i", "testsrc=s=64x64", "-f", "null", "-"]
    async with running([*argv, sys.argv[2]], OutputPipes(0), Limits(1 << 32, 600, 600), 0) as it:
        print(it.pid, flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


def test_killed_encoder_leaves_no_ffmpeg_behind(media, tmp_path):
    program = script(tmp_path / "orphan", "exec sleep 600")
    encoder = subprocess.Popen(
        [sys.executable, "-c", ENCODE_FOR_EVER, program, "x"], stdout=subprocess.PIPE
    )
    with encoder:
        assert encoder.stdout is not None
        pid = int(encoder.stdout.readline())
        deadline = time.monotonic() + 30
        while b"600" not in Path(f"/proc/{pid}/cmdline").read_bytes():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        encoder.kill()
        encoder.wait()
        while state(pid) not in "XZ":
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.mark.parametrize("demuxer", ["hls", "concat", "dash", "lavfi", "image2", "tee", ""])
async def test_formats_that_lead_elsewhere_are_refused(bench, make_task, video, demuxer):
    with pytest.raises(ForbiddenSourceError):
        await bench.encode(video, make_task(video, demuxer=demuxer))


async def test_playlist_that_says_it_is_mp4_is_not_followed(bench, make_task, tmp_path):
    playlist = tmp_path / "video.mp4"
    playlist.write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/secret.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(FFmpegFailedError) as caught:
        await bench.encode(playlist, make_task(playlist))
    assert "Invalid data" in caught.value.log_tail
    assert "hls" not in caught.value.log_tail


async def test_missing_source_is_no_matter_of_patience(bench, make_task):
    with pytest.raises(ObjectMissingError):
        async for _ in bench.transcoder().transcode(make_task(Path("nowhere.mp4"))):
            pass


async def test_real_ffmpeg_offers_software(media):
    abilities = await find_abilities(media.ffmpeg)
    assert abilities.providers == ("software",)
    assert abilities.version[0].isalnum()
    assert abilities.tonemap


async def test_ffmpeg_without_a_working_encoder_is_refused(tmp_path):
    with pytest.raises(NoProviderError):
        await find_abilities(script(tmp_path / "lame", "exit 1"))
