"""Verifies the index of images against the records, and repairs it: a generator of requests, which a caller answers.

1. Page by page of the index: what has no record is removed.
2. Page by page of the records: labels are set, and what lacks its vector is counted.
3. If vectors are missing, page by page again: their images are embedded, one batch at a time, while no other work
   waits, or when it is their turn. Records are the truth and are never written.

Only one page is in memory. All requests are idempotent. ``workers.images.passes`` sends them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import groupby
from typing import Any

from tasks.message_parts import Fault, ObjectRef, Revision
from tasks.messages import Submitted
from workers.images import image_requests as requests
from workers.images.comparison import Compared, Comparison, id_of
from workers.images.findings import Findings
from workers.images.index_task import Embed, Indexed, NotIndexed
from workers.lifecycle.record_versions import RecordVersion

PAGE = 1000
DAY_S = 86_400.0
ASIDE_MAX = 100_000  # versions that are remembered as unreadable


class WhenIdle:
    """Asks for nothing: the caller goes on when no other work waits, or after a pause."""


Asked = requests.Request | Embed | WhenIdle
Verification = Generator[Asked, Any, None]


class Aside:
    """Versions whose vector cannot be made: they are not tried again for a day. In memory."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """``clock``: seconds."""
        self._clock = clock
        self._until: dict[tuple[str, str], tuple[float, str]] = {}

    def add(self, version: RecordVersion, reason: str) -> None:
        """Set a version aside."""
        if len(self._until) >= ASIDE_MAX:
            self._until.pop(next(iter(self._until)))
        self._until[version.oid, version.etag] = self._clock() + DAY_S, reason

    def reason(self, version: RecordVersion) -> str | None:
        """Why a version is set aside; ``None`` if it is not."""
        until, reason = self._until.get((version.oid, version.etag), (0.0, ""))
        return reason if until > self._clock() else None


class Verifier:
    """Makes verifications. ``pages``: all ids of objects with a record, in pages of this size."""

    def __init__(
        self,
        comparison: Comparison,
        pages: Callable[[int], Iterator[list[str]]],
        space_id: str,
        batch_max: int,
        aside: Aside,
        refilling: Callable[[], bool] = lambda: False,
    ) -> None:
        """``refilling``: whether records are missing that will be made again."""
        self._refilling = refilling
        self._comparison = comparison
        self._pages = pages
        self._space_id = space_id
        self._batch_max = batch_max
        self._aside = aside

    def run(self, findings: Findings, *, repair: bool) -> Verification:
        """Verify the index once, and repair it if wanted. ``findings`` is updated meanwhile."""
        yield from self._orphans(findings, repair=repair)
        for oids in self._pages(PAGE):
            yield from self._records(oids, findings, repair=repair)
        findings.compared = True
        if repair and findings.faults["missing"] + findings.faults["outdated"]:
            for oids in self._pages(PAGE):
                yield from self._fill(oids, findings)
        findings.filled = repair
        findings.finished = True

    def _orphans(self, findings: Findings, *, repair: bool) -> Verification:
        after = -1
        while facts := (yield requests.FactsAfter(after, PAGE)):
            after = facts[-1].id
            orphaned = self._comparison.orphaned(facts)
            findings.add("orphaned", (f"{fact.bucket}/{fact.key}" for fact in orphaned))
            # after a loss of Redis all images are without a record for a while: their vectors stay, and exemplars too
            if repair and orphaned and not self._refilling():
                yield requests.RemoveVersions(tuple((fact.bucket, fact.key, fact.etag) for fact in orphaned))
                findings.repaired["orphaned"] += len(orphaned)

    def _records(self, oids: Sequence[str], findings: Findings, *, repair: bool) -> Verification:
        compared: Compared = yield from self._compared(oids)
        findings.records += len(compared.versions)
        findings.indexed += len(compared.versions) - len(compared.of("missing", "outdated"))
        for version, kind in compared.faults:
            findings.add(kind, [version.oid])
            if kind != "mislabelled" and (reason := self._aside.reason(version)) is not None:
                findings.fail(version.oid, reason)
        if repair and (labels := self._comparison.labels(compared.of("mislabelled"))):
            yield requests.Label(tuple(labels))
            findings.repaired["mislabelled"] += len(labels)

    def _fill(self, oids: Sequence[str], findings: Findings) -> Verification:
        compared: Compared = yield from self._compared(oids)
        wanted = [one for one in compared.of("missing", "outdated") if self._aside.reason(one) is None]
        wanted.sort(key=lambda one: one.captions_version)
        for _, group in groupby(wanted, key=lambda one: one.captions_version):
            same = list(group)
            for start in range(0, len(same), self._batch_max):
                yield from self._batch(same[start : start + self._batch_max], findings)

    def _batch(self, versions: Sequence[RecordVersion], findings: Findings) -> Verification:
        yield WhenIdle()
        # compared again: others may have done it while this waited
        again: Compared = yield from self._compared([one.oid for one in versions])
        left = {version.oid: (version, kind) for version, kind in again.faults if kind != "mislabelled"}
        wanted = [one for one in versions if one.oid in left and left[one.oid][0].etag == one.etag]
        if not wanted:
            return
        revision = Revision(self._space_id, wanted[0].captions_version)
        refs = tuple(ObjectRef(*one.name, one.etag) for one in wanted)
        answer: Indexed | NotIndexed = yield Embed(Submitted(objects=refs, revision=revision))
        if isinstance(answer, Indexed):
            self._count(answer, left, findings)
        elif len(wanted) > 1:  # which of them is to blame
            for one in wanted:
                yield from self._batch([one], findings)
        else:
            self._set_aside(wanted[0], answer.reason, findings)

    def _count(self, answer: Indexed, left: dict[str, tuple[RecordVersion, Any]], findings: Findings) -> None:
        for oid in answer.ids:
            findings.repaired[left[oid][1]] += 1
            findings.indexed += 1
        # an image that was tagged since the records were counted is one more of them, too
        findings.records = max(findings.records, findings.indexed)
        for fault in answer.faults:
            self._set_aside(left[fault.object.id][0], _said(fault), findings)

    def _set_aside(self, version: RecordVersion, reason: str, findings: Findings) -> None:
        self._aside.add(version, reason)
        findings.fail(version.oid, reason)

    def _compared(self, oids: Sequence[str]) -> Generator[Asked, Any, Compared]:
        before = self._comparison.tagged(oids)
        if not before:
            return Compared((), ())
        facts = yield requests.Facts(tuple(map(id_of, before)))
        return self._comparison.records(before, facts)


def _said(fault: Fault) -> str:
    return f"{fault.code}: {fault.reason}"
