"""The kinds of events that receivers of webhooks may want, and the form of their names and addresses."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

RESULTS = ("object.done", "object.failed", "object.dead", "object.skipped")
"""What receivers get by default."""
REMOVED = "object.removed"
BATCH = "batch.finished"
KINDS = (*RESULTS, REMOVED, BATCH)

DEFAULT_RECEIVER = "default"
"""The receiver that variables configure."""
NAME = "[a-z0-9][a-z0-9_-]{0,39}"
"""The pattern of the names of receivers."""


def kinds_of(events: Iterable[str]) -> frozenset[str]:
    """The kinds that are named; ``object.*`` and ``*`` stand for several. Raises ``ValueError``."""
    found: set[str] = set()
    for event in events:
        named = _named(event)
        if not named:
            raise ValueError(f"there are no events {event!r}; there are {', '.join(KINDS)}")
        found.update(named)
    if not found:
        raise ValueError("no kind of event is named")
    return frozenset(found)


def _named(event: str) -> Collection[str]:
    whole = event == "*" or (event.endswith(".*") and event.count("*") == 1)
    return [kind for kind in KINDS if kind == event or (whole and fnmatchcase(kind, event))]


def receiver_url(url: str) -> str:
    """The place that a URL names, without its path, which may be a secret. Raises ``ValueError``."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(NO_URL) from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.fragment:
        raise ValueError(NO_URL)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")


NO_URL = "not a URL to which events can be POSTed, for example https://example.org/hooks/wildtag"
