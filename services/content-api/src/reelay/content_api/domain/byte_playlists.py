"""Playlists of byte ranges (RFC 8216, 4.3.2.2 and 4.3.2.5), made from those of the package."""

import re
from collections.abc import Iterable

from reelay.common.errors import ReelayError
from reelay.content_api.domain.ranges import ByteRange

URI = re.compile(r'URI="[^"]*"')
GROUP = re.compile(r'[:,]AUDIO="([^"]*)"')


class DamagedPlaylistError(ReelayError):
    """A playlist of this video is damaged; `reelay verify` tells more."""

    problem = "damaged-playlist"


def media_playlist(stored: str, uri: str, places: Iterable[ByteRange]) -> bytes:
    """Return a media playlist whose segments lie in one file.

    `stored` is the package's own playlist of the rendition; `places` are those of its init segment
    and its segments in the file at `uri`.
    """
    lines, left = [], iter(places)
    try:
        for line in stored.splitlines():
            if line.startswith("#EXT-X-MAP:"):
                place = next(left)
                lines.append(
                    f'#EXT-X-MAP:URI="{uri}",BYTERANGE="{place.length}@{place.start}"'
                )  # fmt: skip
            elif line and not line.startswith("#"):
                place = next(left)
                lines += [f"#EXT-X-BYTERANGE:{place.length}@{place.start}", uri]
            else:
                lines.append(line)
    except StopIteration as error:
        raise DamagedPlaylistError from error
    if next(left, None) is not None:
        raise DamagedPlaylistError
    return _text(lines)


def master_playlist(stored: str, own_path: str, uri: str, audio_uri: str | None) -> bytes | None:
    """Return a multivariant playlist with the one variant whose media playlist is `own_path`.

    `stored` is the package's own; None when that has no such variant. `uri` and `audio_uri` are
    those of the new media playlists, the second only when sound is apart.
    """
    lines = stored.splitlines()
    if own_path not in lines:
        return None
    place = lines.index(own_path)
    variant = lines[place - 1]
    if not place or not variant.startswith("#EXT-X-STREAM-INF:"):
        raise DamagedPlaylistError
    head = [line for line in lines if line.startswith(("#EXTM3U", "#EXT-X-VERSION", "#EXT-X-IND"))]
    group = GROUP.search(variant)
    media = [
        URI.sub(f'URI="{audio_uri}"', line)
        for line in lines
        if audio_uri and group and line.startswith("#EXT-X-MEDIA:TYPE=AUDIO,")
        and f'GROUP-ID="{group[1]}"' in line
    ]  # fmt: skip
    return _text([*head, *media, variant, uri])


def _text(lines: list[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()
