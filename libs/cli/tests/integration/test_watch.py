"""`reelay watch` as a process, beside a real NATS server and a server of plans."""

import signal
from datetime import UTC, datetime
from subprocess import TimeoutExpired
from typing import Any

import pytest

from reelay.cli.watch_asking import ASK_EVERY_S
from reelay.common.commands import EncoderAlive, Lane, SegmentDemanded
from reelay.common.message import Message
from reelay.common.messaging import Messaging
from reelay.common.testing.servers import Program

from ..watch_samples import ID, VIDEO, chunk, everything, planned, stored
from .conftest import Command
from .watching import COMPLETED, CONTENT, FAILED, INDEX, REMOVED, tell, video

pytestmark = pytest.mark.integration


async def test_past_is_shown_at_once_and_then_each_change(watch, packager: Messaging) -> None:
    other = "0b" * 32
    await packager.publish(planned())
    await packager.publish(stored(("360p", 1, 2), ("audio", 1, 1)))
    await packager.publish(stored(("720p", 1, 6), package_id=other))
    watching = watch(str(VIDEO))
    first = watching.wait_for(event="package", state="playable", title="Film", segments_stored=3)
    assert first["renditions"]["360p"]["stored"] == [[1, 2]]
    assert first["elapsed_s"] < 60

    await packager.publish(chunk("720p 360p", 3, 6, Lane.LADDER))
    watching.wait_for(event="encoding", rendition="720p", first=3, last=6, lane="ladder")
    await tell(packager, EncoderAlive(encoder_id="e", providers=[], encoder_version="9"))
    watching.wait_for(event="encoders", alive=1)
    await tell(packager, SegmentDemanded(package_id=ID, path="video/720p/4.m4s"))
    await tell(packager, SegmentDemanded(package_id=other, path="video/720p/5.m4s"))
    watching.wait_for(event="demanded", rendition="720p", number=4, position_s=4.0)
    await packager.publish(stored(("720p", 3, 4)))
    watching.wait_for(event="stored", rendition="720p", first=3, last=4, segments_stored=5)
    await packager.publish(COMPLETED)
    assert watching.end() == (0, "")
    assert watching.lines[-1]["state"] == "ready"
    assert watching.lines[-1]["segments_stored"] == 18
    assert not [one for one in watching.lines if one.get("number") == 5]


async def test_work_is_seen_and_left_to_the_encoders(watch, packager: Messaging) -> None:
    await packager.publish(chunk("360p audio", 1, 4, Lane.OPENING, task=1))
    await packager.publish(chunk("720p", 1, 4, package_id="0b" * 32, task=2))
    watching = watch(ID)
    first = watching.wait_for(event="package")
    assert first["renditions"]["audio"]["encoding"] == {"opening": [[1, 4]]}
    assert first["renditions"]["720p"]["encoding"] == {}
    await packager.publish(chunk("720p", 1, 4, task=3))
    watching.wait_for(event="encoding", rendition="720p")
    work = await packager.jetstream.stream_info("WORK")
    assert (work.state.messages, work.state.consumer_count) == (3, 0)


async def test_package_id_gets_the_title_of_the_video_it_was_planned_for(watch, packager) -> None:
    await packager.publish(planned())
    assert watch(ID).wait_for(event="package")["title"] == "Film"


async def test_complete_package_is_shown_without_its_facts(watch, pages, packager) -> None:
    pages[f"{CONTENT}/index.json"] = INDEX
    watching = watch(ID)
    assert watching.end() == (0, "")
    (line,) = watching.lines
    assert (line["state"], line["progress"]) == ("ready", 1.0)


async def test_follow_goes_on_after_the_end_until_ctrl_c(watch, pages, packager) -> None:
    pages[f"{CONTENT}/index.json"] = INDEX
    watching = watch(ID, "--follow")
    watching.wait_for(event="package", state="ready")
    await tell(packager, EncoderAlive(encoder_id="e", providers=[], encoder_version="9"))
    watching.wait_for(event="encoders", alive=1)
    watching.process.send_signal(signal.SIGINT)
    assert watching.end() == (130, "")


async def test_failure_is_said_with_its_reason(watch, packager: Messaging) -> None:
    watching = watch()
    watching.wait_for(event="package")
    await packager.publish(FAILED)
    assert watching.end() == (1, "reelay: The disk is full.\n")
    assert watching.lines[-1] | {"elapsed_s": None} == {
        "event": "state", "state": "failed", "reason": "The disk is full.", "elapsed_s": None,
        "segments_stored": 0, "segments_total": 18, "progress": 0.0,
    }  # fmt: skip


async def test_old_failure_of_a_package_that_is_made_again_does_not_end_it(watch, packager) -> None:
    await packager.publish(planned())
    await packager.publish(FAILED)
    await packager.publish(planned())
    await packager.publish(stored(("720p", 1, 1)))
    watching = watch(ID)
    watching.wait_for(event="package", state="planned", segments_stored=1)


async def test_video_that_is_deleted_in_the_middle_ends_it(watch, pages, packager) -> None:
    await packager.publish(planned())
    await packager.publish(stored(("360p", 1, 1), ("audio", 1, 1)))
    watching = watch()
    watching.wait_for(event="package", state="playable")
    del pages[f"/api/v1/videos/{VIDEO}"]
    assert watching.end() == (1, "reelay: This video was removed, or is private by now.\n")
    last = watching.lines[-1]
    assert (last["event"], last["state"]) == ("state", "failed")
    assert last["reason"] == "This video was removed, or is private by now."


async def test_video_that_gets_another_package_ends_it(watch, pages, packager) -> None:
    watching = watch(str(VIDEO), "--follow")
    watching.wait_for(event="package")
    pages[f"/api/v1/videos/{VIDEO}"] = video(package_id="0b" * 32)
    assert watching.end() == (
        1, "reelay: This video has another package by now; watch it again.\n"
    )  # fmt: skip


async def test_server_that_cannot_answer_for_a_while_does_not_end_it(
    watch, pages, packager
) -> None:
    watching = watch(str(VIDEO))
    watching.wait_for(event="package")
    pages[f"/api/v1/videos/{VIDEO}"] = {"status": 503}
    await packager.publish(stored(("720p", 1, 1)))
    watching.wait_for(event="stored")
    with pytest.raises(TimeoutExpired):
        watching.process.wait(2 * ASK_EVERY_S)
    await packager.publish(COMPLETED)
    assert watching.end() == (0, "")


async def test_package_that_no_video_needs_any_more_ends_it(watch, pages, packager) -> None:
    watching = watch(ID)
    watching.wait_for(event="package")
    del pages[f"{CONTENT}/plan.json"]
    assert watching.end() == (1, "reelay: This package was removed, or is private by now.\n")


async def test_package_that_was_given_up_ends_it_with_the_reason(watch, pages, packager) -> None:
    pages[f"{CONTENT}/index.json"] = {"status": 410, "detail": "It is replaced by another."}
    watching = watch(ID)
    code, said = watching.end()
    assert code == 1
    assert said.endswith("says: It is replaced by another.\n")


async def test_removal_ends_it(watch, packager: Messaging) -> None:
    await packager.publish(planned())
    watching = watch(ID)
    watching.wait_for(event="package", state="planned")
    await packager.publish(REMOVED)
    assert watching.end() == (
        1, "reelay: This package was removed: no video needs it any more.\n"
    )  # fmt: skip


async def test_package_that_is_made_again_after_its_removal_begins_anew(watch, packager) -> None:
    for fact in (planned(), everything(), COMPLETED, REMOVED, planned()):
        await packager.publish(fact)
    await packager.publish(stored(("720p", 1, 1)))
    watching = watch(ID)
    watching.wait_for(event="package", state="planned", segments_stored=1)
    await packager.publish(stored(("720p", 2, 3)))
    watching.wait_for(event="stored", rendition="720p", first=2, last=3, segments_stored=3)
    await packager.publish(COMPLETED)
    assert watching.end() == (0, "")
    assert watching.lines[-1]["state"] == "ready"


async def test_package_that_is_repaired_is_complete_only_with_its_index(watch, packager) -> None:
    for fact in (planned(), everything(), COMPLETED):
        await packager.publish(fact)
    await packager.publish(chunk("720p", 3, 4))
    watching = watch(ID)
    first = watching.wait_for(event="package", state="playable", segments_stored=16)
    assert first["renditions"]["720p"]["encoding"] == {"ladder": [[3, 4]]}
    await packager.publish(stored(("720p", 3, 3)))
    watching.wait_for(event="stored", rendition="720p", first=3, last=3, segments_stored=17)
    await packager.publish(COMPLETED)
    assert watching.end() == (0, "")
    assert watching.lines[-1]["segments_stored"] == 18


async def test_package_whose_index_is_put_back_is_complete(watch, pages, packager) -> None:
    for fact in (planned(), everything(), COMPLETED):
        await packager.publish(fact)
    watching = watch(ID)
    watching.wait_for(event="package", state="playable")
    pages[f"{CONTENT}/index.json"] = INDEX
    assert watching.end() == (0, "")
    assert watching.lines[-1]["state"] == "ready"


async def test_removal_that_is_told_after_a_later_plan_ends_nothing(watch, packager) -> None:
    def decided(fact: Message, minute: int) -> Message:
        at = datetime(2026, 1, 1, 0, minute, tzinfo=UTC)
        return fact.model_copy(update={"decided_at": at})

    await packager.publish(decided(planned(), 2))
    await packager.publish(stored(("720p", 1, 1)))
    await packager.publish(decided(REMOVED, 1))
    watching = watch(ID)
    watching.wait_for(event="package", state="planned", segments_stored=1)
    await packager.publish(COMPLETED)
    assert watching.end() == (0, "")


async def test_second_video_that_needs_the_package_hides_nothing_of_it(watch, packager) -> None:
    for fact in (planned(), everything(), planned()):
        await packager.publish(fact)
    watch(ID).wait_for(event="package", state="playable", segments_stored=18)


async def test_newest_video_is_waited_for_until_it_has_a_plan(watch, pages, packager) -> None:
    pages[f"/api/v1/videos/{VIDEO}"] = video(state="uploading", package_id=None)
    watching = watch()
    watching.wait_for(event="waiting", state="uploading")
    pages[f"/api/v1/videos/{VIDEO}"] = video()
    watching.wait_for(event="package")


async def test_video_that_failed_before_its_plan_is_said(watch, pages, packager) -> None:
    pages[f"/api/v1/videos/{VIDEO}"] = video(state="failed", package_id=None, reason="No video.")
    watching = watch()
    assert watching.end() == (1, "reelay: No video.\n")
    assert watching.lines == [
        {"event": "failed", "video_id": str(VIDEO), "reason": "No video."}
    ]  # fmt: skip


async def test_broker_that_was_away_is_heard_again(watch, packager, nats: Program) -> None:
    await packager.publish(stored(("720p", 1, 1)))
    watching = watch(ID)
    watching.wait_for(event="package", segments_stored=1)
    nats.kill()
    nats.start()
    again = Messaging(nats.url, "again")
    await again.start()
    await again.publish(stored(("720p", 3, 3)))
    watching.wait_for(event="stored", rendition="720p", first=3)
    await again.publish(COMPLETED)
    assert watching.end() == (0, "")
    await again.stop()


def test_nothing_to_watch_is_said(command: Command, pages: dict[str, Any]) -> None:
    pages["/api/v1/videos?limit=1"] = {"videos": []}
    done = command("watch")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("reelay: There is no video")


def test_instance_that_does_not_run_is_said(command: Command) -> None:
    done = command("watch")
    assert done.returncode == 1
    assert "No Reelay runs" in done.stderr
