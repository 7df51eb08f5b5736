"""Checks a broker that the settings name, beside the Redis of the stack."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from vectordb.errors import WildtagError
from workers.diagnostics.check import Check


def broker_check(url: str | None, reach: Callable[[], object]) -> Iterator[Check]:
    """Whether the broker of a URL takes messages; no check without one.

    ``reach``: raises ``WildtagError`` if it does not.
    """
    if url is None:
        return
    # without the password; a list of brokers is shown by its first
    place = urlsplit(url.split(";")[0])
    shown = f"{place.scheme}://{place.netloc.rpartition('@')[2]}{place.path}"
    try:
        reach()
    except WildtagError as exc:
        yield Check.failed("broker", f"{shown}: {exc}", "start it, or correct WILDTAG_BROKER_URL")
    else:
        yield Check.passed("broker", f"{shown} takes messages")
