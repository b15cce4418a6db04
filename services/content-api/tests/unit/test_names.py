"""Which request paths name an object; none reaches outside its package."""

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelay.content_api.domain.names import CONTENT_PREFIX, ContentName, parse_target

PACKAGE = "0123456789abcdef" * 4
pieces = st.sampled_from(
    ["..", ".", "/", "//", "\\", "\0", "%2e%2e", "%2f", "a", "1.m4s", "~", " ", "\ufffd", "é", "-"]
)


@given(st.lists(pieces, max_size=12).map("".join) | st.text(max_size=40))
def test_no_path_leads_outside_its_package(rest: str) -> None:
    name = parse_target(f"{CONTENT_PREFIX}{PACKAGE}/{rest}")
    if name is not None:
        assert name.key == posixpath.normpath(name.key)
        assert name.key.startswith(f"packages/{PACKAGE}/")
        assert not set("\0\\% ") & set(name.key)
        assert not any(part.startswith(".") for part in name.key.split("/"))


@given(st.text(max_size=200))
def test_any_target_is_understood_or_refused(path: str) -> None:
    name = parse_target(path)
    assert name is None or path == f"{CONTENT_PREFIX}{name.package_id}/{name.path}"


@pytest.mark.parametrize(
    "package", ["", "..", "0" * 63, "0" * 65, "A" * 64, "g" * 64, "\u0660" * 64, "0" * 64 + "\n"]
)
def test_only_lower_case_sha256_names_a_package(package: str) -> None:
    assert parse_target(f"{CONTENT_PREFIX}{package}/plan.json") is None


@pytest.mark.parametrize(
    "rest",
    ["", "/", "video/", "/etc/passwd", "../x", "video/../plan.json", "video/./1.m4s", ".hidden",
     "video//1.m4s", "a\\b", "a\0b", "%2e%2e/x", "plan.json\n", "x" * 256, "x/" * 300 + "y"],
)  # fmt: skip
def test_unsafe_paths_name_nothing(rest: str) -> None:
    assert parse_target(f"{CONTENT_PREFIX}{PACKAGE}/{rest}") is None


def test_etag_depends_on_package_and_path_and_on_nothing_else() -> None:
    name = ContentName(PACKAGE, "video/360p/1.m4s")
    assert name.etag == ContentName(PACKAGE, "video/360p/1.m4s").etag
    others = {ContentName("f" * 64, name.path).etag, ContentName(PACKAGE, "video/360p/2.m4s").etag}
    assert name.etag not in others
    assert name.etag == '"1ad2d26b94f526d18a2e747b6ae0cc63"'


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("master.m3u8", "application/vnd.apple.mpegurl"),
        ("manifest.mpd", "application/dash+xml"),
        ("video/360p/1.m4s", "video/iso.segment"),
        ("audio/main/1.m4s", "video/iso.segment"),
        ("video/360p/init.mp4", "video/mp4"),
        ("audio/main/init.mp4", "audio/mp4"),
        ("plan.json", "application/json"),
    ],
)
def test_content_type_follows_the_name(path: str, expected: str) -> None:
    assert ContentName(PACKAGE, path).content_type == expected
