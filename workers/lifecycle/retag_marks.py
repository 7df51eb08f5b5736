"""Which objects wait to be tagged again: known at once, before the dispatcher has read the event.

A mark names the event in the inbox. It counts as long as that event is there, so an event that is dropped leaves no
object waiting. From then on the ledger knows the object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workers.redis import scripts
from workers.redis.connection import Client, raw, text, translated
from workers.redis.keys import Keys

USUAL, LOW_PRIORITY = "n", "l"
"""The first character of a mark: in which inbox the event is."""


class RetagMarks:
    """The marks, in Redis. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys) -> None:
        self._redis: Any = client  # redis-py types every answer as "awaitable or value"
        self.key = keys.retag_marks
        self._streams = {USUAL: keys.inbox, LOW_PRIORITY: keys.low_priority_inbox}
        self._append = self._redis.register_script(scripts.source("append_marked"))
        self._clear = self._redis.register_script(scripts.source("clear_marks"))

    def append(self, pipe: Any, which: str, oid: str, event: bytes) -> None:
        """Add to a pipeline: append an event to an inbox, and mark its object."""
        self._append(keys=[self._streams[which], self.key], args=[which, raw(oid), event], client=pipe)

    def ask(self, pipe: Any, oid: str) -> None:
        """Add the command that reads the mark of an object to a pipeline."""
        pipe.hget(self.key, raw(oid))

    def waiting(self, marks: Mapping[str, bytes | None]) -> set[str]:
        """The objects whose events are still in an inbox. ``marks``: by object id, the answers to ``ask``."""
        marked = {oid: text(mark) for oid, mark in marks.items() if mark and text(mark)[:1] in self._streams}
        if not marked:
            return set()
        with translated():
            pipe = self._redis.pipeline(transaction=False)
            for mark in marked.values():
                pipe.xrange(self._streams[mark[0]], mark[1:], mark[1:], count=1)
            there = pipe.execute()
        return {oid for oid, found in zip(marked, there, strict=True) if found}

    def clear(self, which: str, events: Sequence[tuple[str, str]]) -> None:
        """Forget marks whose events were processed. ``events``: object id and id of the entry. Newer ones stay."""
        args = [part for oid, entry in events for part in (raw(oid), f"{which}{entry}")]
        if args:
            with translated():
                self._clear(keys=[self.key], args=args)
