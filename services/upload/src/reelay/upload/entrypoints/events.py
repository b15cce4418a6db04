"""The facts that this service listens to."""

from reelay.common.events import VideoDeleted, VideoDrafted
from reelay.common.messaging import Messaging
from reelay.common.streams import fact_consumer
from reelay.upload.handlers.drafting import Drafting

SERVICE = "upload"


def listen(messaging: Messaging, drafting: Drafting) -> None:
    """Let the handlers digest their facts."""
    drafted = fact_consumer(SERVICE, "know-draft", VideoDrafted.subject, batch=4)
    messaging.on(drafted, drafting.know_draft)
    deleted = fact_consumer(SERVICE, "forget-draft", VideoDeleted.subject)
    messaging.on(deleted, drafting.forget_draft)
