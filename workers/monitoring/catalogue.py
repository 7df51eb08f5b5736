"""All metrics of wildtag. What is exposed and what ``docs/reference/metrics.md`` lists comes from here."""

from __future__ import annotations

from workers.monitoring.metric import Metric, counter, gauge, histogram

REQUEST_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)
"""Seconds of an HTTP request, or of one request to a store or an index."""
COMPUTE_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""Seconds of one batch in a model."""
OBJECT_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 21600, 86400)
"""Seconds of an object in the system. ``workers/redis/scripts/counting.lua`` has the same."""
BATCH_OBJECTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)

# about this installation
BUILD_INFO = gauge(
    "process", "wildtag_build_info", "The version of wildtag and of Python; always 1", "version", "python"
)
REDIS_UP = gauge("state", "wildtag_redis_up", "Whether Redis answers and accepts writes: 1 or 0")
BROKER_UP = gauge("state", "wildtag_broker_up", "Whether the message broker answers: 1 or 0")
READABLE = gauge(
    "state", "wildtag_metrics_readable",
    "Whether the metrics of this part could be read just now: 1, or 0 if they are missing or incomplete", "part",
)  # fmt: skip

# objects
OBJECTS = gauge("state", "wildtag_objects", "Objects by state", "state")
OBJECTS_ACCEPTED = counter("redis", "wildtag_objects_accepted", "Objects that were accepted to be tagged")
OBJECTS_FINISHED = counter(
    "redis", "wildtag_objects_finished", "Finished objects; reason is the code of the error, empty without one",
    "state", "reason",
)  # fmt: skip
OBJECTS_WITHDRAWN = counter(
    "redis", "wildtag_objects_withdrawn",
    "Accepted objects that left without a record: removed, replaced by another version, or held", "reason",
    occasional=True,
)  # fmt: skip
OBJECT_DURATION = histogram(
    "redis", "wildtag_object_duration_seconds", "Seconds from the acceptance of an object to its record",
    buckets=OBJECT_S,
)  # fmt: skip

# stages
STAGE_DURATION = histogram(
    "redis", "wildtag_stage_duration_seconds",
    "Seconds from putting an object on the queue of a stage to its leaving the stage; stage waiting: it was put off",
    "stage", buckets=OBJECT_S,
)  # fmt: skip
STAGE_ATTEMPTS = counter(
    "redis", "wildtag_stage_attempts", "Objects that a worker began in a stage, each attempt counted", "stage"
)
RETRIES = counter(
    "redis", "wildtag_retries", "Objects that were sent again from the first stage, by the stage they were in",
    "stage",
    occasional=True,
)  # fmt: skip
POSTPONEMENTS = counter(
    "redis", "wildtag_postponements", "Objects that were put off because of a temporary fault, by stage", "stage",
    occasional=True,
)  # fmt: skip
BATCH_SIZE = histogram(
    "process", "wildtag_batch_objects", "Objects in a message that a worker received", "stage", buckets=BATCH_OBJECTS
)
STAGE_BUSY = counter("process", "wildtag_stage_busy_seconds", "Seconds during which a worker worked", "stage")

# queues
QUEUE_MESSAGES = gauge("state", "wildtag_queue_messages", "Messages that no worker has received", "queue")
QUEUE_CONSUMERS = gauge(
    "state", "wildtag_queue_consumers", "Workers on a queue; known with RabbitMQ only", "queue", occasional=True
)
QUEUE_UNACKNOWLEDGED = gauge(
    "state", "wildtag_queue_unacknowledged_messages",
    "Messages that workers hold, of all queues; known with Redis only",
    occasional=True,
)  # fmt: skip
QUEUE_OBJECTS = gauge(
    "state", "wildtag_queue_objects",
    "Accepted objects that wait for a stage or are in it; queue waiting: they were put off", "queue",
)  # fmt: skip
QUEUE_OLDEST = gauge(
    "state", "wildtag_queue_oldest_seconds",
    "Seconds since the oldest of the objects that wait for a stage or are in it was put on its queue; 0 without any",
    "queue",
)  # fmt: skip
LEDGER_OBJECTS = gauge("state", "wildtag_ledger_objects", "Accepted objects that have no record yet")
LEDGER_OLDEST = gauge(
    "state", "wildtag_ledger_oldest_seconds",
    "Seconds since the oldest of the objects without a record was accepted; 0 without any",
)  # fmt: skip
INBOX_EVENTS = gauge("state", "wildtag_inbox_events", "Events that are not processed yet", "priority")
INBOX_OLDEST = gauge(
    "state",
    "wildtag_inbox_oldest_seconds",
    "Seconds since the oldest of these events arrived; 0 without any",
    "priority",
)

# events
EVENT_SOURCE_WORKS = gauge(
    "state", "wildtag_event_source_works", "Whether a source of events works: 1 or 0", "source"
)
EVENT_SOURCE_LAG = gauge(
    "state", "wildtag_event_source_lag_seconds",
    "Seconds for which a source of events has not worked, so events may be this late; 0 while it works", "source",
)  # fmt: skip
EVENTS_RECEIVED = counter(
    "state", "wildtag_events_received", "Events by their source and what became of them", "source", "outcome"
)
DRAIN = gauge("state", "wildtag_drain_seconds", "Seconds since a drain began; 0 without one")
HELD_REMOVALS = gauge(
    "state", "wildtag_held_removals", "Missing objects whose removal is held", "bucket", occasional=True
)

# how it is
LAST_PROGRESS = gauge(
    "state", "wildtag_last_progress_seconds", "Seconds since the last progress of a stage or process", "name"
)
OUTAGE_SECONDS = gauge(
    "state", "wildtag_outage_seconds", "Seconds for which a service has been away", "name", occasional=True
)
OUTAGE_OBJECTS = gauge(
    "state", "wildtag_outage_waiting_objects", "Objects that wait for this service", "name", occasional=True
)
DISK_FREE = gauge("state", "wildtag_disk_free_bytes", "Bytes that are free on the disk with this folder", "folder")
DISK_SIZE = gauge("state", "wildtag_disk_size_bytes", "Size of the disk with this folder in bytes", "folder")
REDIS_MEMORY = gauge("state", "wildtag_redis_memory_bytes", "Memory that Redis uses in bytes", "node")
REDIS_LIMIT = gauge(
    "state", "wildtag_redis_memory_limit_bytes", "Memory that Redis may use in bytes; 0: no limit", "node"
)
REDIS_EVICTED = counter(
    "state", "wildtag_redis_evicted_keys", "Keys that Redis deleted because its memory was full", "node"
)

# models, captions and images
CACHE_REQUESTS = counter(
    "process", "wildtag_cache_requests", "Values that were asked of a cache; result: hit or miss", "cache", "result"
)
ENCODER_DURATION = histogram(
    "process", "wildtag_encoder_duration_seconds", "Seconds of one batch in an encoder; kind: image or text",
    "model", "device", "kind", buckets=COMPUTE_S,
)  # fmt: skip
ENCODED_ITEMS = counter(
    "process", "wildtag_encoded_items", "Images or texts that were encoded", "model", "device", "kind"
)
MODEL_BATCH = gauge(
    "state", "wildtag_model_batch", "Images, texts or points that a loaded model takes at once",
    "queue", "model", "process", "device", "runtime", "dtype",
)  # fmt: skip
CAPTIONS = gauge("state", "wildtag_captions", "Captions of the version in use", "database", "version")
IMAGES_INDEXED = gauge("state", "wildtag_images_indexed", "Images in the index of images")
INDEX_DURATION = histogram(
    "process", "wildtag_index_duration_seconds", "Seconds of one request to the index of captions or of images",
    "index", "operation", buckets=REQUEST_S,
)  # fmt: skip
INDEX_ERRORS = counter(
    "process", "wildtag_index_errors", "Requests to an index that failed, by the kind of error",
    "index", "operation", "error", occasional=True,
)  # fmt: skip
STORE_DURATION = histogram(
    "process", "wildtag_store_duration_seconds", "Seconds of one request to the object store", "operation",
    buckets=REQUEST_S,
)  # fmt: skip
STORE_ERRORS = counter(
    "process", "wildtag_store_errors", "Requests to the object store that failed, by the kind of error",
    "operation", "error", occasional=True,
)  # fmt: skip

# webhooks; without a receiver they have no series
WEBHOOK_DELIVERIES = counter(
    "redis", "wildtag_webhook_deliveries", "Attempts to deliver a webhook by outcome: delivered, retried or dead",
    "receiver", "outcome", occasional=True,
)  # fmt: skip
WEBHOOK_WAITING = gauge(
    "state", "wildtag_webhook_waiting", "Webhook deliveries that wait", "receiver", occasional=True
)
WEBHOOK_DEAD = gauge("state", "wildtag_webhook_dead_letters", "Stored dead letters", "receiver", occasional=True)
WEBHOOK_FAILING = gauge(
    "state", "wildtag_webhook_failing_seconds", "Seconds for which every attempt has failed, or 0", "receiver",
    occasional=True,
)  # fmt: skip
WEBHOOK_SERVED = gauge(
    "state",
    "wildtag_webhook_served",
    "Whether a notifier runs for this receiver: 1 or 0",
    "receiver",
    occasional=True,
)
WEBHOOK_PAUSED = gauge(
    "state", "wildtag_webhook_paused", "Whether an operator paused this receiver: 1 or 0", "receiver", occasional=True
)
WEBHOOK_LOST = counter(
    "redis", "wildtag_webhook_lost", "Events that were trimmed from the feed before they were read", "receiver",
    occasional=True,
)  # fmt: skip

# the gateway
HTTP_REQUESTS = counter("process", "wildtag_http_requests", "HTTP requests", "method", "route", "status")
HTTP_REFUSED = counter(
    "process", "wildtag_http_refused",
    "Requests that were refused for want of access or room; reason is the type of the problem, or the limit on rates",
    "reason", occasional=True,
)  # fmt: skip
HTTP_DURATION = histogram(
    "process", "wildtag_http_request_duration_seconds", "Seconds until the headers of a response were sent", "route",
    buckets=REQUEST_S,
)  # fmt: skip
EVENT_STREAMS = gauge("process", "wildtag_event_streams", "Open event streams")

CATALOGUE: tuple[Metric, ...] = tuple(one for one in list(vars().values()) if isinstance(one, Metric))
"""All of them, in this order."""
