"""What an upgrade may have left: a drain that is in force, and processes of another release."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from vectordb.errors import WildtagError
from workers.diagnostics.check import Check
from workers.redis.drain import Draining
from workers.redis.heartbeats import ProcessNote, mixed_releases

GO_ON = "run `wildtag undrain` to go on"
RESTART = "restart the older ones when the update is complete"


def upgrade_checks(
    redis: str | None, look: Callable[[str], tuple[Draining | None, Sequence[ProcessNote]]], now: Callable[[], float]
) -> Iterator[Check]:
    """Checks, if there is a Redis. ``look``: what there is in it. ``now``: Unix seconds."""
    if redis is None:
        return
    try:
        draining, notes = look(redis)
    except WildtagError as exc:
        yield Check.note("releases", f"not known: {exc}")
        return
    if draining is not None:
        hours = max(0.0, now() - draining.since) / 3600
        yield Check.note("drain", f"in force for {hours:.1f} hours: images are accepted, and none is tagged", GO_ON)
    mixed = mixed_releases(notes)
    if mixed is not None:
        yield Check.note("releases", mixed, RESTART)
    elif notes:
        yield Check.passed("releases", f"{notes[0].release or 'not known'}, in all {len(notes)} processes")
