"""Recognises objects whose ETag has changed and whose content has not, and gives their records the new ETag.

A folder that was copied, restored or mounted again has files with other times or, for records of older versions of
wildtag, other inodes. Tagging them again would cost hours and would tell everybody of results that they have.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import structlog

from tasks.message_parts import ObjectRef
from workers.lifecycle.ledger import Ledger
from workers.lifecycle.record import Record
from workers.lifecycle.record_reader import Records
from workers.lifecycle.statements import Statements
from workers.lifecycle.stored_record import head_of

log = structlog.get_logger()

SameVersion = Callable[[str, str, float], bool]
"""Whether two ETags of one object mean the same version: the known one, the one met, and when the first was read."""
Adopt = Callable[[Sequence[ObjectRef]], set[str]]
"""Gives records the ETags of these objects where only the ETag differs. Returns the ids of those objects."""


def nothing(_: Sequence[ObjectRef]) -> set[str]:
    """For stores whose ETags follow from the content."""
    return set()


class SameVersions:
    """Finds and rewrites such records. Raises ``StoreUnavailable``."""

    def __init__(
        self,
        records: Records,
        ledger: Ledger,
        same: SameVersion,
        statements: Statements | None = None,
        adopted: Callable[[Mapping[str, str], Sequence[Record]], object] = lambda _, __: None,
    ) -> None:
        """``statements``: get the new ETags, too, so that they go on to hold.

        ``adopted``: told of the ETags that objects had before, and of their records as they are now.
        """
        self._statements = statements
        self._adopted = adopted
        self._records = records
        self._ledger = ledger
        self._same = same

    def adopt(self, refs: Sequence[ObjectRef]) -> set[str]:
        """See ``Adopt``. A record that another process changes meanwhile is left alone."""
        known = self._records.known([ref.id for ref in refs])
        other = [
            ref for ref, (etag, _) in zip(refs, known, strict=True)
            if etag and ref.etag and etag != ref.etag and self._same(etag, ref.etag, math.inf)
        ]  # fmt: skip
        if not other:
            return set()
        bodies = self._records.stored([ref.id for ref in other])
        same = [
            (ref, body) for ref, body in zip(other, bodies, strict=True)
            if body is not None and self._agrees(self._records.damaged.read(ref.id, body), ref)
        ]  # fmt: skip
        adopted = {ref.id for (ref, _), done in zip(same, self._ledger.adopt(same), strict=True) if done}
        if self._statements is not None:
            for ref, body in same:
                if ref.id in adopted:
                    self._statements.adopt(ref.id, head_of(body).etag, ref.etag)
        if adopted:
            log.info("same content under another etag", objects=len(adopted), example=min(adopted))
            before = {ref.id: etag for ref, (etag, _) in zip(refs, known, strict=True) if ref.id in adopted}
            now = [record for record in self._records.get(sorted(adopted)) if record is not None]
            self._adopted(before, [record for record in now if record.etag != before[record.id]])
        return adopted

    def _agrees(self, record: Record | None, ref: ObjectRef) -> bool:
        if record is None:
            return False
        begun = record.finished_at - record.timings_ms.get("total", 0.0) / 1000
        return self._same(record.etag, ref.etag, begun)
