"""What changed between two maps of a package, as JSON objects for programs."""

from collections.abc import Iterator
from typing import Any

from reelay.cli.watch_map import PackageMap, Row, Viewer, runs

Line = dict[str, Any]


def changes(before: PackageMap | None, after: PackageMap) -> Iterator[Line]:
    """Yield one object for each change; the whole map when nothing was told before."""
    if before is None:
        yield _package(after)
        return
    for old, row in zip(before.rows, after.rows, strict=True):
        yield from _stored(old, row, after)
    for old, row in zip(before.rows, after.rows, strict=True):
        yield from _encoding(old, row)
    for viewer in after.viewers:
        if viewer not in before.viewers:
            yield _viewer("demanded" if viewer.waits else "watching", viewer)
    for viewer in before.viewers:
        if viewer not in after.viewers:
            yield _viewer("demand-over" if viewer.waits else "watching-over", viewer)
    if before.encoders != after.encoders:
        yield {"event": "encoders", "alive": after.encoders}
    if (before.state, before.reason) != (after.state, after.reason):
        yield {"event": "state", **_state(after)}


def _package(known: PackageMap) -> Line:
    return {
        "event": "package",
        "package_id": known.package.package_id,
        "title": known.title,
        **_state(known),
        "duration_s": round(known.package.duration_s, 3),
        "encoders": known.encoders,
        "renditions": {
            row.rendition.name: {
                "total": row.total,
                "stored": list(runs(row.stored)),
                "encoding": {lane: list(runs(bits)) for lane, bits in row.encoding.items()},
            }
            for row in known.rows
        },
        "viewers": [
            {**_position(each), "count": each.count, "waits": each.waits} for each in known.viewers
        ],
    }


def _state(known: PackageMap) -> Line:
    return {
        "state": known.state,
        **({"reason": known.reason} if known.state == "failed" else {}),
        "segments_stored": known.stored,
        "segments_total": known.total,
        "progress": round(known.progress, 4),
        **({} if known.elapsed_s is None else {"elapsed_s": round(known.elapsed_s, 3)}),
    }


def _stored(old: Row, row: Row, after: PackageMap) -> Iterator[Line]:
    for first, last in runs(row.stored & ~old.stored):
        yield {
            "event": "stored",
            "rendition": row.rendition.name,
            "first": first,
            "last": last,
            "segments_stored": after.stored,
            "segments_total": after.total,
        }


def _encoding(old: Row, row: Row) -> Iterator[Line]:
    """Tell what is asked for, and what is no longer under way without having been stored."""
    for lane, bits in row.encoding.items():
        for first, last in runs(bits & ~old.encoding.get(lane, 0)):
            yield _run("encoding", row, first, last) | {"lane": lane}
    now = row.stored
    for bits in row.encoding.values():
        now |= bits
    for lane, bits in old.encoding.items():
        for first, last in runs(bits & ~now):
            yield _run("given-up", row, first, last) | {"lane": lane}


def _run(event: str, row: Row, first: int, last: int) -> Line:
    return {"event": event, "rendition": row.rendition.name, "first": first, "last": last}


def _viewer(event: str, viewer: Viewer) -> Line:
    return {"event": event, **_position(viewer)}


def _position(viewer: Viewer) -> Line:
    position_s = round(viewer.position_s, 3)
    return {"rendition": viewer.rendition, "number": viewer.number, "position_s": position_s}
