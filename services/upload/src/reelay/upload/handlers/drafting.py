"""Learns from the catalog which drafts there are."""

from dataclasses import dataclass

from reelay.common.events import VideoDeleted, VideoDrafted
from reelay.upload.domain.ports import Drafts


@dataclass(frozen=True)
class Drafting:
    """Keeps the drafts; facts may come twice and in any order."""

    drafts: Drafts

    async def know_draft(self, fact: VideoDrafted) -> None:
        """Accept uploads to this video from now on."""
        await self.drafts.know(fact.video_id, fact.owner_id)

    async def forget_draft(self, fact: VideoDeleted) -> None:
        """Accept no upload to this video any more."""
        await self.drafts.forget(fact.video_id)
