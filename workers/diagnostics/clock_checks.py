"""Whether the clocks of hosts agree with that of Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from vectordb.errors import WildtagError
from workers.diagnostics.check import Check
from workers.redis.redis_clock import off

REMEDY = "synchronise the clock of that host, for example with chrony or systemd-timesyncd"


def clock_checks(redis: str | None, offsets: Callable[[str], Sequence[tuple[str, float]]]) -> Iterator[Check]:
    """A check of all clocks, if there is a Redis. ``offsets``: where, and seconds ahead of it."""
    if redis is None:
        return
    try:
        found = offsets(redis)
    except WildtagError as exc:
        yield Check.note("clocks", f"not known: {exc}")
        return
    wrong = off(found)
    for line in wrong:
        yield Check.note("clocks", line, REMEDY)
    if not wrong:
        yield Check.passed(
            "clocks", f"{len(found)} clock{'s agree' if len(found) != 1 else ' agrees'} with that of Redis"
        )
