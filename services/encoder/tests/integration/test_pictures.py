"""The right pictures come at the right places: every one is read, none is only counted."""

from collections.abc import AsyncIterator, Sequence
from fractions import Fraction
from pathlib import Path

import pytest

from reelay.common.commands import Lane
from reelay.common.range_reader import RangeReader
from reelay.common.storage import StoreUnavailableError
from reelay.common.storage.filesystem import FilesystemObjectStore
from reelay.encoder.adapters.lane_gate import LaneGate
from reelay.encoder.domain.cutting import EncodedSegment

from .conftest import Bench, words

pytestmark = pytest.mark.integration


TOTAL = 150


def shown(media, segments: Sequence[EncodedSegment], rendition: str = "180p") -> list[int]:
    height = int(rendition[:-1])
    return [
        number
        for segment in segments
        if segment.rendition == rendition
        for number in media.numbers(segment.data, height * 16 // 9, height)
    ]


def expected_of_vfr(ticks: Sequence[int], timescale: int, rate: Fraction, end: int) -> list[int]:
    """Which source frame each place of the grid shows: the last one that rounds to it or before.

    Times round to the nearest place, halves up, as FFmpeg's `fps` does.
    """
    places = [int(Fraction(tick, timescale) * rate + Fraction(1, 2)) for tick in ticks]
    return [
        max((i for i, place in enumerate(places) if place <= wanted), default=0)
        for wanted in range(end)
    ]


@pytest.mark.parametrize("rate", ["25", "30000/1001", "60000/1001", "24000/1001"])
@pytest.mark.parametrize(
    ("first", "segments"),
    [(0, [25, 25]), (1, [10]), (47, [30, 1, 20]), (TOTAL - 21, [21])],
    ids=["first", "second frame", "middle", "last"],
)
async def test_constant_rates_show_each_frame_once(media, make_task, bench, rate, first, segments):
    path = media.numbered("constant.mp4", rate, TOTAL)
    made = await bench.encode(path, make_task(path, rate, first, segments))
    assert shown(media, made) == list(range(first, first + sum(segments)))
    assert not any(segment.warnings for segment in made)


async def test_matroska_shows_the_same_frames(media, make_task, bench):
    path = media.numbered("constant.mkv", "30000/1001", TOTAL)
    for first in (0, 33, 90):
        task = make_task(path, "30000/1001", first, [20, 20], demuxer="matroska,webm")
        made = await bench.encode(path, task)
        assert shown(media, made) == list(range(first, first + 40))


async def test_transport_stream_shows_the_same_frames_after_a_gop_of_preroll(
    media, make_task, bench
):
    path = media.numbered("constant.ts", "25", TOTAL)
    for first in (0, 60, 100):
        task = make_task(path, "25", first, [20], demuxer="mpegts", preroll_s=2.5)
        made = await bench.encode(path, task)
        assert shown(media, made) == list(range(first, first + 20))


@pytest.mark.parametrize("container", ["mp4", "mkv"])
async def test_variable_rate_shows_the_frame_of_the_moment(media, make_task, bench, container):
    # Matroska keeps milliseconds, so the moments are whole milliseconds, 8 to 97 ms apart.
    moments = [60 * k + 37 * k % 53 for k in range(TOTAL)]
    timescale = ["-video_track_timescale", "1000"] if container == "mp4" else []
    path = media.numbered(
        f"variable.{container}", "25", TOTAL,
        *("-vf", "settb=1/1000,setpts='60*N+mod(37*N,53)'"),
        *("-fps_mode", "passthrough", "-enc_time_base", "1/1000", *timescale),
    )  # fmt: skip
    planned = expected_of_vfr(moments, 1000, Fraction(25), 230)
    demuxer = {"mp4": "mov", "mkv": "matroska"}[container]
    for first in (0, 3, 40, 77, 111, 140, 209):
        made = await bench.encode(path, make_task(path, "25", first, [20], demuxer=demuxer))
        assert shown(media, made) == planned[first : first + 20], f"chunk from {first}"


async def test_long_still_pictures_are_held(media, make_task, bench):
    times = "if(lt(N,20),N,if(lt(N,21),120,120+N-20))"
    path = media.numbered(
        "still.mp4", "25", 40, "-vf", f"setpts='({times})/25/TB'", "-fps_mode", "passthrough"
    )
    made = await bench.encode(path, make_task(path, "25", 60, [40, 25]))
    assert shown(media, made) == [19] * 60 + [20, 21, 22, 23, 24]


async def test_edit_list_hides_its_frames(media, make_task, bench):
    whole = media.numbered("constant.mp4", "25", TOTAL)
    path = media.make("edited.mp4", "-ss", "0.4", "-i", str(whole), "-c", "copy")
    made = await bench.encode(path, make_task(path, "25", 0, [25]))
    assert shown(media, made) == list(range(10, 35))
    made = await bench.encode(path, make_task(path, "25", 70, [25]))
    assert shown(media, made) == list(range(80, 105))


async def test_late_first_frame_is_held_back_to_the_start(media, make_task, bench):
    tone = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=4"]
    path = media.numbered(
        "late-video.mp4", "25", 90, "-vf", "setpts=PTS+0.4/TB", "-c:a", "aac", before=tone
    )
    made = await bench.encode(path, make_task(path, "25", 0, [25]))
    assert shown(media, made) == [0] * 10 + list(range(15))
    made = await bench.encode(path, make_task(path, "25", 50, [20]))
    assert shown(media, made) == list(range(40, 60))


async def test_rotated_source_stands_upright(media, make_task, bench):
    lying = media.numbered("constant.mp4", "25", TOTAL)
    path = media.make("rotated.mp4", "-display_rotation", "90", "-i", str(lying), "-c", "copy")
    made = await bench.encode(path, make_task(path, "25", 30, [10], sizes=[(180, 320)]))
    # Turned by a quarter, the bars of the code lie: read them along a column, from below.
    numbers = []
    for picture in media.pictures(made[0].data, 180, 320):
        column = picture[90::180][::-1]
        numbers.append(media.number(column * 2, 320, 2))
    assert numbers == list(range(30, 40))


async def test_pixel_aspect_is_squared_and_levels_are_kept(media, make_task, bench):
    path = media.numbered("anamorphic.mp4", "25", 30, "-vf", "setsar=4/3")
    made = await bench.encode(path, make_task(path, "25", 0, [10], sizes=[(426, 180)]))
    pictures = media.pictures(made[0].data, 426, 180)
    assert [media.number(picture, 426, 180) for picture in pictures] == list(range(10))
    # White and black of limited range are decoded to 255 and 0 of gray.
    assert pictures[3][0] < 4
    assert max(pictures[3]) > 251


async def test_all_renditions_of_a_chunk_show_the_same_pictures(media, make_task, bench):
    path = media.numbered("constant.mp4", "25", TOTAL)
    task = make_task(path, "25", 40, [25, 25], sizes=[(320, 180), (256, 144), (160, 90)])
    made = await bench.encode(path, task)
    for rendition in ("180p", "144p", "90p"):
        assert shown(media, made, rendition) == list(range(40, 90))


async def test_truncated_file_holds_its_last_picture_and_warns(media, make_task, bench, tmp_path):
    whole = media.numbered("faststart.mp4", "25", 250, "-movflags", "+faststart")
    path = tmp_path / "truncated.mp4"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    made = await bench.encode(path, make_task(path, "25", 100, [25, 25, 50, 50]))
    numbers = shown(media, made)
    last = max(numbers)
    assert 120 < last < 200
    assert numbers == [min(number, last) for number in range(100, 250)]
    assert [bool(segment.warnings) for segment in made] == [
        last < 124 - 12, last < 149 - 12, last < 199 - 12, True,
    ]  # fmt: skip


async def test_chunk_beyond_the_damage_shows_what_was_last(media, make_task, bench, tmp_path):
    whole = media.numbered("faststart.mp4", "25", 250, "-movflags", "+faststart")
    path = tmp_path / "truncated.mp4"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 5 // 10])
    made = await bench.encode(path, make_task(path, "25", 220, [25]))
    assert len(media.pictures(made[0].data, 320, 180)) == 25
    assert made[0].warnings


async def test_undecodable_chunk_becomes_black(media, make_task, bench, tmp_path):
    whole = media.numbered("faststart.mp4", "25", 250, "-movflags", "+faststart")
    path = media.undecodable(whole, tmp_path)
    task = make_task(path, "25", 100, [25, 25], sizes=[(320, 180), (160, 90)])
    made = await bench.encode(path, task)
    assert sorted((s.rendition, s.spec.number) for s in made) == [
        ("180p", 1), ("180p", 2), ("90p", 1), ("90p", 2),
    ]  # fmt: skip
    assert shown(media, made) == [0] * 50
    assert all(segment.warnings for segment in made)


async def test_change_of_size_in_the_middle_keeps_the_timeline(media, make_task, bench, tmp_path):
    whole = media.numbered("constant.mp4", "25", 50)
    small = media.make(
        "small.ts", "-i", str(whole), "-vf", "scale=160:90", *words("-c:v libx264 -threads 1")
    )
    large = media.make("large.ts", "-i", str(whole), *words("-c:v libx264 -threads 1"))
    listing = tmp_path / "list.txt"
    listing.write_text(f"file '{large}'\nfile '{small}'\n")
    path = tmp_path / "changing.ts"
    media.run(*words(f"-f concat -safe 0 -i {listing} -c copy {path}"))
    task = make_task(path, "25", 0, [25, 50], demuxer="mpegts", lane=Lane.LADDER)
    made = await bench.encode(path, task)
    assert shown(media, made) == [*range(50), *range(25)]


async def test_source_is_read_through_the_loopback_reader(media, make_task, bench, monkeypatch):
    path = media.numbered("constant.mp4", "25", TOTAL)
    monkeypatch.setattr(bench.store, "local_path", lambda key: None)
    made = await bench.encode(path, make_task(path, "25", 90, [20]))
    assert shown(media, made) == list(range(90, 110))


class Failing(FilesystemObjectStore):
    """A store on another machine that goes away in the middle of a film."""

    def local_path(self, key: str) -> Path | None:
        return None

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        cut = (await self.head(key)).size_bytes * 6 // 10
        async for block in super().read(key, start, end):
            if start + len(block) > cut:
                yield block[: max(0, cut - start)]
                raise StoreUnavailableError("The store went away.")
            yield block
            start += len(block)


async def test_store_that_goes_away_leaves_no_held_picture(media, make_task, tmp_path):
    """What a damaged file may show, a file that could not be read must not."""
    store = Failing(tmp_path)
    sources = RangeReader(store)
    await sources.start()
    bench = Bench(store, sources, LaneGate(longest_pause_s=10.0))
    path = media.numbered("faststart.mp4", "25", 250, "-movflags", "+faststart")
    task = make_task(path, "25", 100, [25, 25, 50, 50])
    await store.put(task.source.key, path)
    made: list[EncodedSegment] = []

    async def encode() -> None:
        async for segment in bench.transcoder().transcode(task):
            made.append(segment)  # what is whole before the store goes is right

    with pytest.raises(StoreUnavailableError):
        await encode()
    await sources.stop()
    assert not any(segment.warnings for segment in made)
    numbers = shown(media, made)
    assert numbers == list(range(100, 100 + len(numbers)))
