"""Exactly the names that a plan promises are served."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelay.content_api.domain.promises import PlannedRendition, Promises

PROMISES = Promises(
    [PlannedRendition("360p", "video/360p", 17), PlannedRendition("audio", "audio/main", 16)]
)
MODEL = {"master.m3u8", "manifest.mpd"} | {
    f"{path}/{file}"
    for path, count in (("video/360p", 17), ("audio/main", 16))
    for file in ("init.mp4", "index.m3u8", *(f"{n}.m4s" for n in range(1, count + 1)))
}


@pytest.mark.parametrize("path", sorted(MODEL))
def test_every_name_of_the_plan_is_promised_and_served(path: str) -> None:
    assert PROMISES.promised(path)
    assert PROMISES.served(path)


directories = st.sampled_from(["", "video/360p/", "audio/main/", "video/", "video/720p/"])
files = st.sampled_from(
    ["0.m4s", "00.m4s", "01.m4s", "17.m4s", "18.m4s", "-1.m4s", "+1.m4s", "1.M4S", "1.m4s.tmp",
     "\u0661.m4s", "999999999999.m4s", "init.mp4", "index.m3u8", "init.mp4/x", "master.m3u8"]
)  # fmt: skip


@given(directories, files | st.text(max_size=12))
def test_nothing_else_is_promised(directory: str, file: str) -> None:
    assert PROMISES.promised(directory + file) == (directory + file in MODEL)


@pytest.mark.parametrize("path", ["plan.json", "index.json"])
def test_documents_are_served_but_never_waited_for(path: str) -> None:
    assert PROMISES.served(path)
    assert not PROMISES.promised(path)


@pytest.mark.parametrize("path", ["failed.json", "staging/1.m4s", "360p.m4s", "video/360p"])
def test_internal_names_are_not_served(path: str) -> None:
    assert not PROMISES.served(path)


def test_objects_belong_to_a_rendition_and_manifests_to_none() -> None:
    assert PROMISES.rendition_of("audio/main/3.m4s") == "audio"
    assert PROMISES.rendition_of("master.m3u8") is None
