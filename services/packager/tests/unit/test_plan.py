"""The plan's identity and promises."""

import json

import pytest
from pydantic import TypeAdapter

from reelay.packager.domain.plan import Plan, make_plan

from .plans import VERSIONS, plan


def test_same_asset_and_recipe_have_the_same_identity() -> None:
    assert plan().package_id == plan().package_id


@pytest.mark.parametrize(
    "other",
    [plan(asset="b" * 64), plan(21), plan(size=(640, 360)), plan(sound=False)],
    ids=["asset", "length", "size", "sound"],
)
def test_whatever_decides_the_output_changes_the_identity(other: Plan) -> None:
    assert other.package_id != plan().package_id


def test_encoder_version_changes_the_identity() -> None:
    first = plan()
    newer = make_plan(first.asset_id, first.source, {**VERSIONS, "ffmpeg": "n10.0"})
    assert newer.package_id != first.package_id


def test_plan_survives_its_way_through_the_database() -> None:
    adapter = TypeAdapter(Plan)
    first = plan()
    again = adapter.validate_python(json.loads(adapter.dump_json(first)))
    assert again == first
    assert again.package_id == first.package_id


def test_promised_names_are_those_of_the_renditions() -> None:
    promised = plan(10).promised()
    assert [(r["id"], r["path"], r["segments"]) for r in promised["renditions"]] == [
        ("360p", "video/360p", 5),
        ("480p", "video/480p", 5),
        ("720p", "video/720p", 5),
        ("audio", "audio/main", 5),
    ]


def test_audio_alone_has_no_video_rendition() -> None:
    only = plan(10, size=None)
    assert [r.kind for r in only.renditions] == ["audio"]
    assert [r.name for r in only.opening] == ["audio"]


def test_playable_needs_the_lowest_rung_and_the_sound() -> None:
    assert [r.name for r in plan().opening] == ["360p", "audio"]
    assert [r.name for r in plan(sound=False).opening] == ["360p"]
