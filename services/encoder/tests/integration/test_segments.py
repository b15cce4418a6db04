"""Every segment stands alone, all chunks of a rendition share one init segment, and none waits."""

import re
import time
from collections.abc import Sequence

import pytest

from reelay.encoder.domain.boxes import Box, split_boxes
from reelay.encoder.domain.cutting import EncodedSegment

pytestmark = pytest.mark.integration


def init(segment: EncodedSegment) -> bytes:
    return b"".join(b.data for b in split_boxes(segment.data) if b.kind in ("ftyp", "moov"))


def kinds(segment: EncodedSegment) -> list[str]:
    return [box.kind for box in split_boxes(segment.data)]


def descendants(box: Box) -> list[str]:
    containers = ("moov", "trak", "mdia", "minf", "stbl", "edts", "mvex", "udta")
    found = [box.kind]
    if box.kind in containers:
        for child in box.children():
            found += descendants(child)
    return found


def only(made: Sequence[EncodedSegment], rendition: str) -> list[EncodedSegment]:
    return [segment for segment in made if segment.rendition == rendition]


@pytest.mark.parametrize("threads", [1, 3])
async def test_chunks_share_their_init_segment_to_the_byte(media, make_task, bench, threads):
    tone = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100:duration=6"]
    path = media.numbered("sound.mp4", "30000/1001", 180, "-c:a", "aac", before=tone)
    inits = set()
    audio_inits = set()
    for first, runs, audio_first in ((0, [30, 30], 0), (60, [60], 94), (160, [3, 1], 250)):
        task = make_task(
            path, "30000/1001", first, runs, audio_first=audio_first, audio_segments=[5, 4]
        )
        made = await bench.encode(path, task, threads=threads)
        inits |= {init(segment) for segment in only(made, "180p")}
        audio_inits |= {init(segment) for segment in only(made, "audio")}
    assert len(inits) == 1
    assert len(audio_inits) == 1


async def test_black_pictures_fit_the_same_init_segment(media, make_task, bench, tmp_path):
    whole = media.numbered("faststart.mp4", "25", 250, "-movflags", "+faststart")
    path = media.undecodable(whole, tmp_path)
    good = await bench.encode(whole, make_task(whole, "25", 0, [25]))
    black = await bench.encode(path, make_task(path, "25", 100, [25]))
    assert black[0].warnings
    assert init(good[0]) == init(black[0])


async def test_segment_is_one_fragment_without_edit_list_or_text(media, make_task, bench):
    path = media.numbered("constant.mp4", "25", 150)
    made = await bench.encode(path, make_task(path, "25", 0, [25, 25]))
    for segment in made:
        assert kinds(segment) == ["ftyp", "moov", "moof", "mdat"]
        moov = next(box for box in split_boxes(segment.data) if box.kind == "moov")
        assert "edts" not in descendants(moov)
        assert b"x264 - core" not in segment.data
        assert not re.search(rb"Lav[cf]\d", segment.data)


async def test_source_metadata_stays_behind(media, make_task, bench):
    plain = media.numbered("constant.mp4", "25", 150)
    place = ["-metadata", "location=+48.2082+016.3738/", "-metadata", "title=secret-title"]
    path = media.make(
        "located.mp4", "-i", str(plain), "-c", "copy", *place,
        "-metadata", "creation_time=2024-05-06T07:08:09Z", "-movflags", "use_metadata_tags",
    )  # fmt: skip
    located = await bench.encode(path, make_task(path))
    clean = await bench.encode(plain, make_task(plain))
    assert init(located[0]) == init(clean[0])
    assert b"secret-title" not in located[0].data


async def test_first_segment_does_not_wait_for_the_chunk(media, make_task, bench):
    source = ["-f", "lavfi", "-i", "testsrc2=s=1280x720:r=25:d=13"]
    path = media.make("moving.mp4", *source, "-c:v", "libx264", "-preset", "ultrafast")
    task = make_task(path, "25", 0, [25, 25, 50, 100, 100], sizes=[(640, 360)])
    await bench.store.put(task.source.key, path)
    begin = time.monotonic()
    arrivals = []
    async for _segment in bench.transcoder().transcode(task):
        arrivals.append(time.monotonic() - begin)
    assert arrivals[0] < arrivals[-1] / 2
    assert sorted(arrivals) == arrivals
