"""Panels that say what fails and why, what an image costs, and what is in the bucket."""

from __future__ import annotations

from ops.monitoring.panel import ONCE, Panel, Query, rate, stat

FAILURES = (
    stat(
        "Share that fails",
        "Share of the objects that failed or are dead, of those that finished within 15 minutes.",
        "percentunit",
        "wildtag:objects_failed:ratio15m",
        0.05,
        0.2,
    ),
    stat(
        "Dead",
        "Objects that were given up: `wildtag results --state dead`.",
        "short",
        'max(wildtag_objects{state="dead"})',
        1,
    ),
    stat(
        "Held removals",
        "Missing objects whose removal is held: `wildtag status`.",
        "short",
        "sum(max by (bucket) (wildtag_held_removals)) or vector(0)",
        1,
    ),
    stat(
        "Sources that work",
        "How many sources of events work. 0: new images are only found by a comparison.",
        "short",
        "sum(max by (source) (wildtag_event_source_works))",
    ),
    stat(
        "Requests that fail",
        "Share of the requests to the gateway that got a status of 500 or more.",
        "percentunit",
        'sum(rate(wildtag_http_requests_total{status=~"5.."}[$__rate_interval]) or 0 * up)'
        f" / {rate('wildtag_http_requests_total', once=False)}",
        0.01,
        0.05,
    ),
    stat(
        "Metrics that are missing",
        "Parts of the metrics that could not be read at the last scrape.",
        "short",
        "count(min by (part) (wildtag_metrics_readable) == 0) or vector(0)",
        1,
    ),
    Panel(
        "Failures by reason",
        "Objects without tags, by the code of their error, in an hour.",
        "short",
        (
            Query(
                "sum by (state, reason) (max without (instance, pod)"
                ' (increase(wildtag_objects_finished_total{state!="done"}[1h]))) > 0',
                "{{state}}: {{reason}}",
            ),
        ),
        width=12,
        stacked=True,
    ),
    Panel(
        "Sent again and put off",
        "Objects that were interrupted or overdue, and objects that were put off because of a"
        " temporary fault, in an hour, by stage. Empty: neither happened.",
        "short",
        (
            Query(f"sum by (stage) ({ONCE} (increase(wildtag_retries_total[1h])))", "sent again, {{stage}}"),
            Query(f"sum by (stage) ({ONCE} (increase(wildtag_postponements_total[1h])))", "put off, {{stage}}"),
        ),
        width=12,
    ),
    Panel(
        "Errors of the index and of the store",
        "Requests that failed, by operation and error. Empty: none did.",
        "ops",
        (
            Query(
                rate("wildtag_index_errors_total", "index, operation, error", once=False),
                "{{index}}: {{operation}}: {{error}}",
            ),
            Query(rate("wildtag_store_errors_total", "operation, error", once=False), "{{operation}}: {{error}}"),
        ),
    ),
    Panel(
        "Sources of events",
        "Seconds for which a source has not worked. Its events may be this late.",
        "s",
        (Query("max by (source) (wildtag_event_source_lag_seconds)", "{{source}}"),),
    ),
    Panel(
        "Webhooks",
        "Attempts by receiver and outcome, in a second, and deliveries that wait. Empty: no receiver.",
        "short",
        (
            Query(rate("wildtag_webhook_deliveries_total", "receiver, outcome"), "{{receiver}}: {{outcome}}"),
            Query("max by (receiver) (wildtag_webhook_waiting)", "{{receiver}}: waiting"),
        ),
    ),
)

COST = (
    stat(
        "Worker time for an image",
        "Seconds that workers work for one image, all stages together, over 15 minutes.",
        "s",
        "sum(wildtag:image_cost_seconds:avg15m)",
    ),
    stat(
        "Redis for a record",
        "Memory of Redis, divided by the number of objects. Queues and caches are included.",
        "bytes",
        f"sum({ONCE} (wildtag_redis_memory_bytes))"
        f' / sum({ONCE} (wildtag_objects{{state=~"done|failed|dead|skipped"}}))',
    ),
    stat(
        "Memory of Redis",
        "Share of the memory that Redis may use. Empty: it has no limit.",
        "percentunit",
        f"max({ONCE} (wildtag_redis_memory_bytes / (wildtag_redis_memory_limit_bytes > 0)))",
        0.8,
        0.9,
    ),
    stat(
        "Evicted keys",
        "Keys that Redis deleted because its memory was full. Anything but 0 is a loss.",
        "short",
        f"sum({ONCE} (wildtag_redis_evicted_keys_total))",
        1,
    ),
    stat(
        "Free disk",
        "The folder whose disk has least room.",
        "percentunit",
        f"min({ONCE} (wildtag_disk_free_bytes / wildtag_disk_size_bytes))",
    ),
    stat(
        "Caches",
        "Share of the values that were found in a cache.",
        "percentunit",
        'sum(rate(wildtag_cache_requests_total{result="hit"}[$__rate_interval]))'
        " / sum(rate(wildtag_cache_requests_total[$__rate_interval]))",
    ),
    Panel(
        "Worker time for an image, by stage",
        "Seconds that workers of each stage work for one image. Stacked, this is what an image costs.",
        "s",
        (Query("wildtag:image_cost_seconds:avg15m", "{{stage}}"),),
        width=12,
        stacked=True,
    ),
    Panel(
        "Cache hits",
        "Share of the values that were found in each cache. Words are encoded once; low here means that"
        " captions are new.",
        "percentunit",
        (
            Query(
                'sum by (cache) (rate(wildtag_cache_requests_total{result="hit"}[$__rate_interval]))'
                " / sum by (cache) (rate(wildtag_cache_requests_total[$__rate_interval]))",
                "{{cache}}",
            ),
        ),
        width=12,
    ),
    Panel(
        "Redis",
        "Memory that Redis uses, and its limit.",
        "bytes",
        (
            Query("max by (node) (wildtag_redis_memory_bytes)", "{{node}}"),
            Query("max by (node) (wildtag_redis_memory_limit_bytes > 0)", "{{node}}, limit"),
        ),
    ),
    Panel(
        "Free space",
        "Bytes that are free on the disk of each folder.",
        "bytes",
        (Query("min by (folder) (wildtag_disk_free_bytes)", "{{folder}}"),),
    ),
    Panel(
        "Models",
        "How each loaded model computes, and how many images, texts or points it takes at once.",
        "short",
        (Query("max by (queue, model, device, runtime, dtype) (wildtag_model_batch)", "{{queue}}, {{model}}"),),
        "table",
    ),
)

BUCKET = (
    stat(
        "Tagged", "Objects with tags.", "short", 'max(wildtag_objects{state="done"})',
    ),
    stat(
        "Without tags", "Objects whose record says why: failed, skipped or dead.", "short",
        'sum(max by (state) (wildtag_objects{state=~"failed|skipped|dead"}))',
    ),
    stat("Images that can be found", "Images in the index of images.", "short", "max(wildtag_images_indexed)"),
    stat("Captions", "Captions of the version in use.", "short", "max(wildtag_captions)"),
    stat("Events in a day", "Events from all sources within a day.", "short",
          f"sum({ONCE} (increase(wildtag_events_received_total[1d])))"),
    stat("Pages that listen", "Open event streams of the page and of clients.", "short",
         "sum(wildtag_event_streams)"),
    Panel(
        "Objects by state", "What is known of the bucket.", "short",
        (Query("max by (state) (wildtag_objects)", "{{state}}"),), "bargauge",
    ),
    Panel(
        "Events", "Events by source and what became of them, in a second.", "ops",
        (Query(rate("wildtag_events_received_total", "source, outcome"), "{{source}}: {{outcome}}"),), stacked=True,
    ),
    Panel(
        "Versions", "The versions that run. More than one only while an update runs.", "short",
        (
            Query("count by (version, python) (wildtag_build_info)", "wildtag {{version}}"),
            Query("max by (database, version) (wildtag_captions)", "captions {{database}}"),
        ),
        "table",
    ),
)  # fmt: skip
