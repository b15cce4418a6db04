"""Every Prometheus metric that services share, with its meaning; names end in their unit."""

from prometheus_client import Counter, Gauge, Histogram

MESSAGES_HANDLED = Counter(
    "reelay_messages_handled",
    "Messages by durable consumer and what became of them: ok, retried, dead, again",
    ["consumer", "outcome"],
)
MESSAGE_SECONDS = Histogram(
    "reelay_message_seconds",
    "Time that a handler took for one message",
    ["consumer"],
    buckets=(0.005, 0.02, 0.1, 0.5, 2, 10, 60, 300),
)
OUTBOX_PUBLISHED = Counter("reelay_outbox_published", "Events relayed from the outbox")
SEGMENTS_STORED = Counter(
    "reelay_segments_stored", "Segments put under their final name", ["rendition"]
)
TASKS_OUTSTANDING = Gauge("reelay_tasks_outstanding", "Encode tasks dispatched, not done", ["lane"])
SEGMENT_WAIT_SECONDS = Histogram(
    "reelay_segment_wait_seconds",
    "Time that a GET waited for a promised segment that did not exist yet",
    ["outcome"],
    buckets=(0.1, 0.25, 0.5, 1, 2, 4, 8),
)
REQUESTS_WAITING = Gauge(
    "reelay_content_waiting", "Requests that wait now for objects that do not exist yet"
)
REQUESTS_SERVED = Counter("reelay_content_requests", "Content requests by status", ["status"])
STORE_CIRCUIT_OPENED = Counter(
    "reelay_store_circuit_opened", "Times that the object store was left alone after failures"
)
CACHE_FETCHES = Counter(
    "reelay_content_cache_fetches",
    "Objects fetched into the local cache by outcome: stored, absent, damaged, failed",
    ["outcome"],
)
CACHE_BYTES = Gauge("reelay_content_cache_bytes", "Bytes that the local cache takes on the disk")
