"""What the ledger notes of objects over which processes ended, or whose segmentation is given up."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tasks.message_parts import ObjectRef, Revision
from workers.lifecycle.record import Error
from workers.lifecycle.record_writer import RecordWriter, token
from workers.redis.connection import Client, raw, text, translated
from workers.redis.keys import Keys


class LedgerFaults(RecordWriter):
    """Part of ``Ledger``. Raises ``StoreUnavailable``."""

    def __init__(self, client: Client, keys: Keys, feed_length: int) -> None:
        super().__init__(client, keys, feed_length)
        self._crashed = self._script("counting", "crashed")
        self._give_up_segmentation = self._script("give_up_segmentation")

    def crashed(
        self, refs: Sequence[ObjectRef], revision: Revision, how: str, deadline: float, *, blamed: bool
    ) -> list[str]:
        """Record that a process ended while it worked on these objects. Returns the ids of those still waited for.

        ``how``: for people. ``blamed``: it worked on nothing else, so the attempt counts. See ``Acceptance.crashed``.
        """
        if not refs:
            return []
        keys = [*self._keys.counting, self._keys.ledger, *(self._keys.entry(ref.id) for ref in refs)]
        args = [token(revision), how, deadline, int(blamed)]
        args += [one for ref in refs for one in (raw(ref.id), ref.etag)]
        with translated():
            return [text(oid) for oid in self._crashed(keys=keys, args=args)]

    def give_up_segmentation(self, ref: ObjectRef, revision: str, error: Error) -> None:
        """Have an object finished without its segmentation when it has been tagged again. Attempts begin anew."""
        args = [ref.etag, revision, msgspec.msgpack.encode(error)]
        with translated():
            self._give_up_segmentation(keys=[self._keys.entry(ref.id)], args=args)
