"""Synthetic packages: CMAF segments with samples of random bytes, and a reader of MP4 files."""

import hashlib
import json
import random
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

REORDERED = (2, 4, 1, 1)
"""Composition offsets, in frames, of a picture and the three that refer to it."""


def box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def numbers(form: str, *values: int) -> bytes:
    return struct.pack(">" + form, *values)


@dataclass
class SyntheticTrack:
    """A rendition of a package."""

    kind: str
    name: str
    timescale: int
    ticks: int
    """Length of a frame."""
    lengths: Sequence[int]
    """Frames of each segment."""
    sample_bytes: int = 700
    """The largest; all sizes from 1 occur."""
    seed: int = 1
    samples: list[list[bytes]] = field(init=False)

    def __post_init__(self) -> None:
        randomly = random.Random(f"{self.name} {self.seed}")
        self.samples = [
            [randomly.randbytes(randomly.randint(1, self.sample_bytes)) for _ in range(length)]
            for length in self.lengths
        ]

    @property
    def path(self) -> str:
        return f"{self.kind}/{self.name}"

    @property
    def init(self) -> bytes:
        """The init segment, as the packager makes it: an edit list takes back the reordering."""
        picture = self.kind == "video"
        entry = numbers("IIiI", 1, 0, 2 * self.ticks, 1 << 16)
        edits = box(b"edts", box(b"elst", bytes(4), entry)) if picture else b""
        tkhd = box(b"tkhd", bytes(16) + numbers("I", 1) + bytes(64))
        mdhd = box(b"mdhd", bytes(12) + numbers("II", self.timescale, 0) + b"\x55\xc4\0\0")
        handler = box(b"hdlr", bytes(8), b"vide" if picture else b"soun", bytes(13))
        stsd = box(b"stsd", bytes(4), numbers("I", 1), box(b"avc1" if picture else b"mp4a"))
        minf = box(
            b"minf",
            box(b"dinf", box(b"dref", bytes(8))),
            box(b"stbl", stsd, box(b"stts", bytes(8))),
            box(b"vmhd" if picture else b"smhd", bytes(8)),
        )
        trak = box(b"trak", tkhd, edits, box(b"mdia", mdhd, handler, minf))
        trex = box(b"trex", bytes(4), numbers("IIIII", 1, 1, self.ticks, 0, 0))
        return box(b"ftyp", b"mp41") + box(b"moov", trak, box(b"mvex", trex))

    def segment(self, number: int, *, head: bytes = box(b"styp", b"mp41")) -> bytes:
        """Return a media segment, counted from 1."""
        samples = self.samples[number - 1]
        start = sum(self.lengths[: number - 1]) * self.ticks
        moof_bytes = len(self._moof(number, start, samples, 0))
        moof = self._moof(number, start, samples, moof_bytes + 8)
        return head + moof + box(b"mdat", *samples)

    def _moof(self, number: int, start: int, samples: list[bytes], offset: int) -> bytes:
        tfhd = box(b"tfhd", numbers("III", 0x020000, 1, 0)[:8])
        tfdt = box(b"tfdt", numbers("IQ", 1 << 24, start))
        if self.kind == "video":
            rows = [
                numbers("IIi", len(s), 0x10000 if n else 0, _offset(n, len(samples)) * self.ticks)
                for n, s in enumerate(samples)
            ]
            flags = 0x01000E01
        else:
            rows = [numbers("I", len(sample)) for sample in samples]
            flags = 0x00000201
        trun = box(b"trun", numbers("IIi", flags, len(samples), offset), *rows)
        return box(b"moof", box(b"mfhd", numbers("II", 0, number)), box(b"traf", tfhd, tfdt, trun))

    def playlist(self) -> bytes:
        lines = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-TARGETDURATION:4",
                 "#EXT-X-PLAYLIST-TYPE:VOD", '#EXT-X-MAP:URI="init.mp4"']  # fmt: skip
        for number, length in enumerate(self.lengths, 1):
            lines += [f"#EXTINF:{length * self.ticks / self.timescale:.6f},", f"{number}.m4s"]
        return ("\n".join([*lines, "#EXT-X-ENDLIST"]) + "\n").encode()


def _offset(number: int, count: int) -> int:
    whole_group = number - number % 4 + 4 <= count
    return REORDERED[number % 4] if whole_group else REORDERED[0]


def film(seconds: int = 8, sample_bytes: int = 700) -> list[SyntheticTrack]:
    """Return the tracks of a video: 25 frames/s on two rungs, AAC at 48 kHz."""
    lengths = [25, 25, 50, *[100] * (seconds // 4 - 1)]
    cuts = [-(-sum(lengths[:n]) * 48000 // (25 * 1024)) for n in range(len(lengths) + 1)]
    sound = [after - before for before, after in pairwise(cuts)]
    return [
        SyntheticTrack("video", "360p", 25, 1, lengths, sample_bytes),
        SyntheticTrack("video", "480p", 25, 1, lengths, sample_bytes * 2),
        SyntheticTrack("audio", "main", 48000, 1024, sound, 200),
    ]


def package(tracks: Sequence[SyntheticTrack]) -> dict[str, bytes]:
    """Return the objects of a whole package, without its index."""
    objects: dict[str, bytes] = {}
    master = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-INDEPENDENT-SEGMENTS", ""]
    if any(track.kind == "audio" for track in tracks):
        master.append('#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="Sound",DEFAULT=YES,'
                      'AUTOSELECT=YES,CHANNELS="2",URI="audio/main/index.m3u8"')  # fmt: skip
    renditions = []
    for track in tracks:
        objects[f"{track.path}/init.mp4"] = track.init
        objects[f"{track.path}/index.m3u8"] = track.playlist()
        for number in range(1, len(track.lengths) + 1):
            objects[f"{track.path}/{number}.m4s"] = track.segment(number)
        name = track.name if track.kind == "video" else "audio"
        renditions.append({"id": name, "path": track.path, "segments": len(track.lengths)})
        if track.kind == "video":
            master += ['#EXT-X-STREAM-INF:BANDWIDTH=1000000,CODECS="avc1.64001e,mp4a.40.2",'
                       'RESOLUTION=640x360,FRAME-RATE=25.000,AUDIO="audio"',
                       f"{track.path}/index.m3u8"]  # fmt: skip
    objects["master.m3u8"] = ("\n".join(master) + "\n").encode()
    objects["plan.json"] = json.dumps({"renditions": renditions}).encode()
    return objects


def index(objects: dict[str, bytes]) -> bytes:
    """Return the index of a package."""
    listed = {
        path: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for path, data in objects.items()
    }
    return json.dumps({"objects": listed}).encode()


@dataclass
class ReadTrack:
    """What an MP4 file says of a track."""

    samples: list[bytes]
    times: list[int]
    """Composition times, edit list applied, in the track's timescale."""
    sync: list[int]
    """Numbers of the samples to begin with, from 1; all when there is no such table."""
    boxes: dict[bytes, bytes]


def inside(data: bytes) -> Iterator[tuple[bytes, bytes, int]]:
    """Yield type, content and place of the content of the boxes in `data`."""
    position = 0
    while position < len(data):
        size, kind = struct.unpack_from(">I4s", data, position)
        head = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, position + 8)
            head = 16
        assert head <= size <= len(data) - position
        yield kind, data[position + head : position + size], position + head
        position += size


def read_mp4(data: bytes) -> list[ReadTrack]:
    """Read a progressive file by its sample tables alone."""
    top = {kind: content for kind, content, _ in inside(data)}
    assert list(top) == [b"ftyp", b"moov", b"mdat"]
    return [_track(data, content) for kind, content, _ in inside(top[b"moov"]) if kind == b"trak"]


def _track(data: bytes, trak: bytes) -> ReadTrack:
    boxes: dict[bytes, bytes] = {}

    def gather(content: bytes) -> None:
        for kind, payload, _ in inside(content):
            boxes[kind] = payload
            if kind in (b"mdia", b"minf", b"stbl", b"edts"):
                gather(payload)

    gather(trak)
    sizes = _table(boxes[b"stsz"], "I", skip=8)
    places = _table(boxes[b"stco"], "I") if b"stco" in boxes else _table(boxes[b"co64"], "Q")
    samples = []
    for count, place in zip(_per_chunk(boxes[b"stsc"], len(places)), places, strict=True):
        for _ in range(count):
            samples.append(data[place : place + sizes[len(samples)]])
            place += len(samples[-1])
    assert len(samples) == len(sizes)
    durations = _spread(boxes[b"stts"])
    offsets = _spread(boxes[b"ctts"]) if b"ctts" in boxes else [0] * len(samples)
    begin = struct.unpack_from(">i", boxes[b"elst"], 12)[0] if b"elst" in boxes else 0
    times, now = [], 0
    for duration, offset in zip(durations, offsets, strict=True):
        times.append(now + offset - begin)
        now += duration
    every = range(1, len(samples) + 1)
    sync = _table(boxes[b"stss"], "I") if b"stss" in boxes else list(every)
    return ReadTrack(samples, times, sync, boxes)


def _table(payload: bytes, form: str, skip: int = 4) -> list[int]:
    (count,) = struct.unpack_from(">I", payload, skip)
    values = list(struct.unpack_from(f">{count}{form}", payload, skip + 4))
    assert skip + 4 + struct.calcsize(f">{count}{form}") == len(payload)
    return values


def _spread(payload: bytes) -> list[int]:
    (runs,) = struct.unpack_from(">I", payload, 4)
    values = struct.unpack_from(f">{2 * runs}i", payload, 8)
    return [v for n, v in zip(values[::2], values[1::2], strict=True) for _ in range(n)]


def _per_chunk(stsc: bytes, chunks: int) -> list[int]:
    (runs,) = struct.unpack_from(">I", stsc, 4)
    rows = [struct.unpack_from(">III", stsc, 8 + 12 * n) for n in range(runs)]
    ends = [row[0] for row in rows[1:]] + [chunks + 1]
    return [row[1] for row, end in zip(rows, ends, strict=True) for _ in range(row[0], end)]
