"""Panels that say whether images are tagged as fast as they arrive, and where time goes."""

from __future__ import annotations

from ops.monitoring.panel import ONCE, Panel, Query, mean, quantile, rate, stat

KEEPING_UP = (
    stat("Accepted", "Images that are accepted in a second.", "reqps", rate("wildtag_objects_accepted_total")),
    stat(
        "Finished",
        "Images that get a record in a second, whatever it says. Less than accepted: the backlog grows.",
        "reqps",
        rate("wildtag_objects_finished_total"),
    ),
    stat(
        "Backlog",
        "Images that are accepted and have no record yet: events that wait, and objects in progress.",
        "short",
        "wildtag:backlog:objects",
        500,
        5000,
    ),
    stat(
        "Oldest image",
        "How long the oldest image without a record has waited.",
        "s",
        "max(wildtag_ledger_oldest_seconds)",
        600,
        1800,
    ),
    stat(
        "95 % are tagged within",
        "Time from the acceptance of an image to its record, over 5 minutes.",
        "s",
        "wildtag:object_duration_seconds:p95_5m",
        60,
        600,
    ),
    stat(
        "Services away",
        "How many services are away now: Redis, the broker, the store, Qdrant.",
        "short",
        f"count({ONCE} (wildtag_outage_seconds)) or vector(0)",
        1,
    ),
    Panel(
        "Accepted and finished",
        "Both lines together: we are keeping up. The gap between them is what the backlog gains or loses.",
        "reqps",
        (
            Query(rate("wildtag_objects_accepted_total"), "accepted"),
            Query(rate("wildtag_objects_finished_total"), "finished"),
        ),
        width=12,
    ),
    Panel(
        "Backlog",
        "Events that wait, by priority, and objects in progress. Low priority is what is tagged again.",
        "short",
        (
            Query("max by (priority) (wildtag_inbox_events)", "events, {{priority}} priority"),
            Query("max(wildtag_ledger_objects)", "in progress"),
        ),
        width=12,
        stacked=True,
    ),
    Panel(
        "Objects by stage",
        "Where the objects in progress are. The stage that holds most is the one to scale;"
        " waiting: they were put off because a service is away.",
        "short",
        (Query("max by (queue) (wildtag_queue_objects)", "{{queue}}"),),
        stacked=True,
    ),
    Panel(
        "Oldest by stage",
        "How long the oldest object has been in its stage or before it.",
        "s",
        (
            Query("max by (queue) (wildtag_queue_oldest_seconds)", "{{queue}}"),
            Query("max by (priority) (wildtag_inbox_oldest_seconds)", "events, {{priority}} priority"),
        ),
    ),
    Panel(
        "Messages",
        "Messages on the queues, of several objects each, and those that workers hold (Redis only).",
        "short",
        (
            Query("max by (queue) (wildtag_queue_messages)", "{{queue}}"),
            Query("max(wildtag_queue_unacknowledged_messages)", "with workers"),
        ),
        stacked=True,
    ),
    Panel(
        "Last progress",
        "Seconds since a process did something, or found that there is nothing to do. Above 5 minutes"
        " it is stuck or gone.",
        "s",
        (Query("max by (name) (wildtag_last_progress_seconds)", "{{name}}"),),
        width=12,
        thresholds=(300,),
    ),
    Panel(
        "Outages",
        "How long services have been away, and how many objects wait for each. Empty: none is away.",
        "s",
        (
            Query("max by (name) (wildtag_outage_seconds)", "{{name}}"),
            Query("max by (name) (wildtag_outage_waiting_objects)", "objects that wait for {{name}}"),
        ),
        width=12,
    ),
)

TIME = (
    Panel(
        "From acceptance to record",
        "The time that an image takes: half of them, 95 %, and 99 %.",
        "s",
        tuple(Query(quantile(q, "wildtag_object_duration_seconds"), f"{q * 100:g} %") for q in (0.5, 0.95, 0.99)),
        width=12,
    ),
    Panel(
        "Mean time in each stage",
        "From the queue of a stage to the next one: waiting and work together. Stacked, this"
        " is where the time of an image goes.",
        "s",
        (Query(mean("wildtag_stage_duration_seconds", "stage"), "{{stage}}"),),
        width=12,
        stacked=True,
    ),
    Panel(
        "95 % of the time in each stage",
        "Far above the mean: batches wait behind a few slow ones.",
        "s",
        (Query("wildtag:stage_duration_seconds:p95_5m", "{{stage}}"),),
    ),
    Panel(
        "Workers at work",
        "How many workers of a stage work at the same time, on average. As many as there are: the"
        " stage is the bottleneck. Few, and objects wait: it waits for something else.",
        "short",
        (Query("wildtag:stage_busy:workers5m", "{{stage}}"),),
        stacked=True,
    ),
    Panel(
        "Objects in a message",
        "The mean size of batches. Small ones cost more for each image.",
        "short",
        (Query(mean("wildtag_batch_objects", "stage", once=False), "{{stage}}"),),
    ),
    Panel(
        "Encoder",
        "Seconds of one batch in each model, 95 %.",
        "s",
        (
            Query(
                quantile(0.95, "wildtag_encoder_duration_seconds", "model, device, kind", once=False),
                "{{kind}}, {{model}}, {{device}}",
            ),
        ),
    ),
    Panel(
        "Encoded",
        "Images and texts that the models encode in a second.",
        "ops",
        (
            Query(
                rate("wildtag_encoded_items_total", "model, device, kind", once=False),
                "{{kind}}, {{model}}, {{device}}",
            ),
        ),
    ),
    Panel(
        "Index",
        "Seconds of one request to the index of captions or of images, 95 %.",
        "s",
        (
            Query(
                quantile(0.95, "wildtag_index_duration_seconds", "index, operation", once=False),
                "{{index}}: {{operation}}",
            ),
        ),
    ),
    Panel(
        "Object store",
        "Seconds of one request to the object store, 95 %.",
        "s",
        (Query(quantile(0.95, "wildtag_store_duration_seconds", "operation", once=False), "{{operation}}"),),
        width=12,
    ),
    Panel(
        "Gateway",
        "Seconds until the headers of a response, 95 %, of the slowest ten routes. Routes that wait for"
        " something, such as ?wait=20, are slow on purpose.",
        "s",
        (
            Query(
                f"topk(10, {quantile(0.95, 'wildtag_http_request_duration_seconds', 'route', once=False)})",
                "{{route}}",
            ),
        ),
        width=12,
    ),
)
