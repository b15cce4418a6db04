"""Streams and durable consumers of JetStream, declared here once and nowhere else."""

from dataclasses import dataclass
from datetime import timedelta

from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import BadRequestError, ServerError

from reelay.common.commands import Lane

DUPLICATE_WINDOW_S = timedelta(minutes=2).total_seconds()

EVENTS = StreamConfig(
    name="EVENTS",
    description="facts",
    subjects=["events.>"],
    retention=RetentionPolicy.LIMITS,
    max_age=timedelta(days=7).total_seconds(),
    storage=StorageType.FILE,
    duplicate_window=DUPLICATE_WINDOW_S,
)
WORK = StreamConfig(
    name="WORK",
    description="encode work, removed when acknowledged",
    subjects=["work.>"],
    retention=RetentionPolicy.WORK_QUEUE,
    discard=DiscardPolicy.NEW,
    storage=StorageType.FILE,
    duplicate_window=DUPLICATE_WINDOW_S,
)
DEADLETTERS = StreamConfig(
    name="DEADLETTERS",
    description="messages that no handler could digest",
    subjects=["deadletters.>"],
    retention=RetentionPolicy.LIMITS,
    max_age=timedelta(days=30).total_seconds(),
    storage=StorageType.FILE,
)
ACCESS = StreamConfig(
    name="ACCESS",
    description="who may fetch which package: the last state of each that is not open to all,"
    " and whether all were told",
    subjects=["access.>"],
    retention=RetentionPolicy.LIMITS,
    max_msgs_per_subject=1,
    storage=StorageType.FILE,
    allow_msg_ttl=True,
)
STREAMS = (EVENTS, WORK, DEADLETTERS, ACCESS)


MOST_ENCODERS = 100_000
"""Each holds its message as long as it works on the chunk."""
MOST_REPLICAS = 512
"""Of anything else. Each has a request for a message on the server; one too many is refused at
once, and so made again at once, for ever."""
CONSUMER_NOT_CREATED = 10012
"""JSConsumerCreateErrF of nats-server."""


@dataclass(frozen=True)
class Consumer:
    """A durable pull consumer: who handles which subject, and how patiently."""

    durable: str
    stream: str
    subject: str
    batch: int = 1
    """Messages handled at the same time; each is acknowledged by itself."""
    ack_wait_s: float = 5.0
    """An unacknowledged message is delivered again after this time: that of a killed handler."""
    heartbeat_s: float = 1.5
    """Interval of `in_progress` while a handler runs: a living one keeps its message."""
    max_deliver: int = 8
    retry_base_s: float = 0.5
    """Delay before the second delivery; doubled for each further one."""
    unacknowledged: int = 0
    """How many messages may be with handlers at once, if more than MOST_REPLICAS batches."""
    sole: bool = False
    """Whether nobody else consumes its messages, so that one may be put into the stream anew."""

    def config(self) -> ConsumerConfig:
        """Return what JetStream is told.

        The server has no limit of its own: the middleware terminates a message on its last
        attempt, and a message that hits the server's limit would stay in the stream for ever.
        """
        return ConsumerConfig(
            durable_name=self.durable,
            filter_subject=self.subject,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=self.ack_wait_s,
            max_deliver=-1,
            deliver_policy=DeliverPolicy.ALL,
            max_ack_pending=max(self.unacknowledged, MOST_REPLICAS * self.batch),
            max_waiting=max(self.unacknowledged, MOST_REPLICAS),
        )


def fact_consumer(service: str, handler: str, subject: str, *, batch: int = 1) -> Consumer:
    """Return the durable `<service>-<handler>` on a fact."""
    return Consumer(durable=f"{service}-{handler}", stream="EVENTS", subject=subject, batch=batch)


def work_consumer(provider: str, lane: Lane) -> Consumer:
    """Return the durable that all encoders with `provider` share for `lane`.

    A chunk that kills its encoder must not kill many; one more than this is killed by it alone.
    """
    return Consumer(
        durable=f"encoder-{provider}-{lane}",
        stream="WORK",
        subject=f"work.encode.{provider}.{lane}",
        max_deliver=4,
        unacknowledged=MOST_ENCODERS,
        sole=True,
    )


async def declare_streams(js: JetStreamContext) -> None:
    """Create the streams, or bring existing ones to the declared settings."""
    for stream in STREAMS:
        try:
            await js.add_stream(config=stream)
        except BadRequestError:
            await js.update_stream(config=stream)


async def declare_consumer(js: JetStreamContext, consumer: Consumer) -> None:
    """Create a durable consumer, or bring an existing one to the declared settings."""
    config = consumer.config()
    try:
        await js.add_consumer(consumer.stream, config=config)
    except ServerError as error:
        if error.err_code != CONSUMER_NOT_CREATED:
            raise
        # How many requests may wait is decided once.
        made = await js.consumer_info(consumer.stream, consumer.durable)
        config.max_waiting = made.config.max_waiting
        await js.add_consumer(consumer.stream, config=config)
