"""Finds the caption over which extraction ends its process, and has images tagged without it.

A process that ends over a batch says nothing of captions. So when an object comes again over which a process ended,
each of its captions is extracted alone first, and the crash journal has which one. If the process ends, its successor
knows the caption, and no attempt of the object counts. ``workers.captions.skipped`` decides when it is skipped. A
caption over which extraction raises an error is found the same way, and at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

import structlog

from tasks.cache import Cache
from tasks.extraction.stage import Extractor
from tasks.message_parts import Candidate, Hit, Revision
from workers.captions.skipped import SkippedCaption, SkippedCaptions
from workers.errors.consequences import of
from workers.stages.crash_journal import CaptionHeld, CrashJournal

log = structlog.get_logger()

LOOK_EVERY_S = 10.0  # until another process's finding is noticed; a crash in between costs no attempt
NO_HITS: dict[int, str] = {}


class CaptionTrials:
    """Of one process. ``works``: raises if extraction fails for a harmless caption, too.

    ``journal``: of this process. Without one nothing is learned of crashes, and what is known is skipped.
    """

    def __init__(
        self,
        skipped: SkippedCaptions,
        journal: CrashJournal | None,
        works: Callable[[], object],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._skipped = skipped
        self._journal = journal
        self._works = works
        self._clock = clock
        self._known: dict[Revision, tuple[float, dict[int, str]]] = {}

    def extractor(self, extractor: Extractor, revision: Revision) -> Extractor:
        """An extractor of captions of this version, without those that are skipped."""
        return Trying(extractor, revision, self)

    @property
    def one_by_one(self) -> bool:
        """Whether this process works on an object over which another one ended."""
        return self._journal is not None and self._journal.alone

    def skipped(self, revision: Revision, *, fresh: bool) -> dict[int, str]:
        """The captions that are skipped, by id. ``fresh``: as they are now."""
        now = time.monotonic()
        read, known = self._known.get(revision, (float("-inf"), NO_HITS))
        if fresh or now - read > LOOK_EVERY_S:
            if len(self._known) > 4:  # versions in use at once
                self._known.clear()
            known = self._skipped.of(revision)
            self._known[revision] = now, known
        return known

    def extract(self, extractor: Extractor, revision: Revision, hit: Hit, cache: Cache) -> Exception | None:
        """Extract one caption, which is in the journal meanwhile. Returns what it raised, if that is a bug."""
        try:
            with nullcontext() if self._journal is None else self._journal.trying(revision, hit):
                extractor.candidates([[hit]], cache)
        except Exception as exc:
            if of(exc).passes:
                raise
            return exc
        return None

    def skip(self, revision: Revision, hit: Hit, error: Exception) -> bool:
        """Skip a caption that raised an error, unless extraction is broken. Returns whether it is skipped."""
        self._works()
        reason = f"extraction raised {type(error).__name__}: {error}"
        return skip(self._skipped, revision, hit, reason, self._clock(), sure=True) is not None

    def ended(self, held: CaptionHeld, how: str) -> bool:
        """A process ended over a caption. Returns ``False`` if there are too many to believe it."""
        return skip(self._skipped, held.revision, held.hit, how, self._clock()) is not None

    def pardon(self, held: CaptionHeld) -> None:
        """Extraction ends the process for others, too."""
        self._skipped.take_back(held.revision, held.hit)


def skip(
    skipped: SkippedCaptions, revision: Revision, hit: Hit, reason: str, now: float, *, sure: bool = False
) -> SkippedCaption | None:
    """Note a caption, which the log says."""
    noted = skipped.note(revision, hit, reason, now, sure=sure)
    if noted is None:
        log.error("captions not skipped", captions_version=revision.captions_version,
                  reason="so many seem to be at fault that it must be something else", last=hit.caption)  # fmt: skip
    elif noted.skipped:
        log.error("caption skipped", captions_version=revision.captions_version, caption=hit.caption, reason=reason,
                  then="images are tagged without it; see `wildtag captions skipped`")  # fmt: skip
    else:
        log.warning("caption suspected", captions_version=revision.captions_version, caption=hit.caption,
                    reason=reason, then="it is tried once more")  # fmt: skip
    return noted


@dataclass(frozen=True)
class Trying:
    """An ``Extractor`` of the captions of a version that are not skipped."""

    extractor: Extractor
    revision: Revision
    trials: CaptionTrials = field(repr=False)

    def warm(self) -> None:
        """See ``Extractor``."""
        self.extractor.warm()

    def candidates(self, retrieved: Sequence[Sequence[Hit]], cache: Cache) -> list[tuple[Candidate, ...]]:
        """See ``Extractor``. The places of captions are those of all that were retrieved."""
        alone = self.trials.one_by_one
        skipped = self.trials.skipped(self.revision, fresh=alone)
        if alone:
            self._each(retrieved, skipped, cache)
        try:
            return self._without(retrieved, skipped, cache)
        except Exception as exc:
            if of(exc).passes or not self._each(retrieved, skipped, cache):
                raise
        return self._without(retrieved, skipped, cache)

    def _each(self, retrieved: Sequence[Sequence[Hit]], skipped: dict[int, str], cache: Cache) -> bool:
        """Extract each caption alone. Returns whether more are ``skipped`` now, since they raised an error."""
        hits = {hit.id: hit for hits in retrieved for hit in hits if skipped.get(hit.id) != hit.caption}
        found = False
        for hit in hits.values():
            error = self.trials.extract(self.extractor, self.revision, hit, cache)
            if error is not None and self.trials.skip(self.revision, hit, error):
                skipped[hit.id] = hit.caption
                found = True
        return found

    def _without(
        self, retrieved: Sequence[Sequence[Hit]], skipped: dict[int, str], cache: Cache
    ) -> list[tuple[Candidate, ...]]:
        places = [
            [place for place, hit in enumerate(hits) if skipped.get(hit.id) != hit.caption] for hits in retrieved
        ]
        if all(len(kept) == len(hits) for kept, hits in zip(places, retrieved, strict=True)):
            return self.extractor.candidates(retrieved, cache)
        left = [[hits[place] for place in kept] for kept, hits in zip(places, retrieved, strict=True)]
        found = self.extractor.candidates(left, cache)
        return [
            tuple(Candidate(one.label, tuple(kept[place] for place in one.evidence)) for one in candidates)
            for kept, candidates in zip(places, found, strict=True)
        ]
