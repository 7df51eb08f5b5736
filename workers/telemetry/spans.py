"""What creates spans."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

Attributes = Mapping[str, str | int | float | bool]


class Spans(Protocol):
    """Creates spans. Times are Unix seconds of this host. Nothing blocks, and nothing raises."""

    def accept(self, began: float, parent: str, attributes: Attributes) -> tuple[str, Callable[[], None]]:
        """Begin the span in which an object is accepted. Returns its ``traceparent``, and what ends it.

        ``parent``: the ``traceparent`` of a client; empty for none. A span that is not ended is not exported.
        """
        ...

    def span(
        self, name: str, trace: str, began: float, ended: float, attributes: Attributes, error: str = ""
    ) -> None:
        """A span of one object, if its trace is sampled. ``error``: what failed."""
        ...

    def batch(
        self,
        name: str,
        traces: Mapping[str, str],
        began: float,
        ended: float,
        attributes: Attributes,
        error: str = "",
    ) -> None:
        """A span of several objects, and one of each. ``traces``: object id to ``traceparent``."""
        ...

    def close(self, seconds: float) -> None:
        """Export what waits, for at most this long."""
        ...
