"""What the packager listens to: videos that need packages, finished segments, viewers' demands."""

from reelay.common.commands import DemandWithdrawn, EncoderAlive, Lane, SegmentDemanded
from reelay.common.events import (
    AssetUploaded,
    PackageRemoved,
    PackageRequested,
    RewriteRequested,
    TranscodeFailed,
    VideoDeleted,
)
from reelay.common.fitness import Check
from reelay.common.messaging import Messaging
from reelay.common.streams import fact_consumer
from reelay.packager.handlers.bookkeeping import Bookkeeping
from reelay.packager.handlers.census import EncoderCensus
from reelay.packager.handlers.demanding import Demanding
from reelay.packager.handlers.packaging import BATCH, Packaging
from reelay.packager.handlers.planning import Planning
from reelay.packager.handlers.rewriting import Rewriting
from reelay.packager.handlers.upkeep import failed_consumer, made_consumer

AT_ONCE = {Lane.ONDEMAND: 4, Lane.OPENING: 4, Lane.LADDER: 2 * BATCH}
"""Finished segments of each lane that are taken at a time; they share calls of Shaka Packager.

While a batch of the ladder is packaged the next one gathers. Openings are few, so that what a
viewer waits for comes behind no full batch of them.
"""


def listen_to_videos(
    messaging: Messaging, planning: Planning, rewriting: Rewriting, check: Check
) -> None:
    """Plan what is requested, and drop what was deleted; hear early of what may be requested.

    A request fails whose source cannot be read while `check` finds that the store works.
    """
    plan = fact_consumer("packager", "plan-package", PackageRequested.subject, batch=4)
    rewrite = fact_consumer("packager", "plan-rewritten", RewriteRequested.subject, batch=4)
    forget = fact_consumer("packager", "forget-video", VideoDeleted.subject)
    messaging.on(plan, planning.plan_package, give_up=planning.give_up, check=check)
    messaging.on(rewrite, rewriting.note, give_up=planning.give_up, check=check)
    messaging.on(forget, planning.forget_video)
    messaging.on_plain(AssetUploaded, planning.expect, queue="packager")


def listen_to_encoders(
    messaging: Messaging,
    packaging: Packaging,
    books: Bookkeeping,
    census: EncoderCensus,
    check: Check,
) -> None:
    """Package what was made, and hear who is there to make more.

    A segment fails that cannot be read while `check` finds that the store works.
    """
    for lane in Lane:  # a consumer each: nothing urgent waits behind a batch of the ladder
        package = made_consumer(lane, batch=AT_ONCE[lane])
        messaging.on(package, packaging.package_segment, give_up=packaging.give_up, check=check)
    messaging.on(failed_consumer(), books.fail_package)
    messaging.on_plain(EncoderAlive, census.hear)


def listen_to_viewers(messaging: Messaging, demanding: Demanding) -> None:
    """Hear which promised segments somebody waits for, who waits no more, and what is over."""
    messaging.on_plain(SegmentDemanded, demanding.hear)
    messaging.on_plain(DemandWithdrawn, demanding.withdraw)
    messaging.on_plain(TranscodeFailed, demanding.end)
    messaging.on_plain(PackageRemoved, demanding.end)
