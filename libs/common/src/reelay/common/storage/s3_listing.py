"""Lists an S3 bucket: its objects in order of their keys, and its unfinished uploads."""

from collections.abc import Generator
from itertools import islice

from minio.datatypes import Object

from reelay.common.storage.port import KEY, ObjectInfo, ObjectMissingError, PartInfo
from reelay.common.storage.s3_requests import Bucket, s3_errors

PAGE = 1000
"""Keys in one answer to a listing (S3's limit)."""
PARTS_PAGE = 999
"""SeaweedFS 4.48 lists part 10,000 before part 1,000, and loses all others if a page ends there."""


def described(key: str, found: Object) -> ObjectInfo:
    """Return what the store's users are told of an object."""
    modified_at_s = found.last_modified.timestamp() if found.last_modified else 0.0
    return ObjectInfo(key, found.size or 0, modified_at_s)


def scan_bucket(bucket: Bucket, prefix: str) -> Generator[list[ObjectInfo]]:
    """Yield the objects whose keys start with `prefix`, in order, in batches.

    AWS lists by bytes (`a-b` before `a/b`), SeaweedFS by directories (`a/b` before `a-b`). What
    fits one answer is sorted; of more, one level is listed and each directory then in its turn.
    """
    try:
        with s3_errors():
            found = bucket.client.list_objects(bucket.name, prefix, recursive=True)
            first = list(islice(found, PAGE + 1))
    except ObjectMissingError:
        return
    if len(first) <= PAGE:
        yield _infos(first)
        return
    with s3_errors():
        level = list(bucket.client.list_objects(bucket.name, prefix))
    if not any(entry.is_dir for entry in level):
        yield _infos(level)
        return
    for entry in sorted(level, key=_name):
        if not entry.is_dir:
            yield _infos([entry])
        elif _name(entry) != prefix:
            yield from scan_bucket(bucket, _name(entry))


def unfinished(bucket: Bucket) -> Generator[tuple[str, str, float]]:
    """Yield key, upload id and POSIX time of begin of the multipart uploads that are not done."""
    key_marker: str | None = None
    id_marker: str | None = None
    while True:
        with s3_errors():
            page = bucket.client._list_multipart_uploads(
                bucket.name, key_marker=key_marker, upload_id_marker=id_marker
            )
        for upload in page.uploads:
            if upload.upload_id and upload.initiated_time:
                yield upload.object_name, upload.upload_id, upload.initiated_time.timestamp()
        if not page.is_truncated:
            return
        key_marker, id_marker = page.next_key_marker, page.next_upload_id_marker


def parts_of(bucket: Bucket, key: str, attempt: str) -> list[PartInfo]:
    """Return the parts of an unfinished upload; raise AttemptMissingError when it is none."""
    parts: list[PartInfo] = []
    marker: str | None = None
    while True:
        with s3_errors():
            page = bucket.client._list_parts(
                bucket.name, key, attempt, max_parts=PARTS_PAGE, part_number_marker=marker
            )
        parts += [PartInfo(p.part_number, p.size or 0, p.etag.strip('"')) for p in page.parts]
        if not page.is_truncated:
            return sorted(parts, key=lambda part: part.number)
        marker = str(page.next_part_number_marker)


def _name(entry: Object) -> str:
    return entry.object_name or ""


def _infos(entries: list[Object]) -> list[ObjectInfo]:
    """Describe objects in order of their keys, leaving out what no key of ours can name."""
    return [
        described(_name(entry), entry)
        for entry in sorted(entries, key=_name)
        if KEY.fullmatch(_name(entry))
    ]
