"""Records for ``ops.bench growth``: five tags, ten captions, keys of 35 characters; without a model."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np

from tasks.message_parts import ObjectRef, Revision, Tag
from vectordb.starter import captions
from workers.lifecycle.record import Evidence, Record

BUCKET = "made"
REVISION = Revision("bench", "starter@1")
TAGS, EVIDENCE = 5, 10
WORDS = 20_000


class Recorded:
    """An endless sequence of objects with their records, the same for the same ``seed``.

    The frequencies of the tags are Zipf's, as in a real archive: the index of the most frequent tag has a third of
    the records.
    """

    def __init__(self, seed: int = 7) -> None:
        self._random = np.random.default_rng(seed)
        self._captions = [caption.text for caption in islice(captions(), WORDS)]
        weights = 1 / (np.arange(WORDS) + 10)
        self._shares = np.cumsum(weights / weights.sum())
        self._made = 0

    def __iter__(self) -> Iterator[tuple[ObjectRef, Record]]:
        """Yield the next one for ever."""
        while True:
            yield self._next()

    def _next(self) -> tuple[ObjectRef, Record]:
        number = self._made
        self._made += 1
        key = f"photos/2026/{number // 1000:06}/img-{number:08}.jpg"[:35]
        ref = ObjectRef(BUCKET, key, f"{number:032x}", size=100_000)
        words = dict.fromkeys(np.searchsorted(self._shares, self._random.random(2 * TAGS)).tolist())
        tags = tuple(
            Tag(self._captions[word].partition(",")[0].lower(), round(0.9 - place / 10, 6), 0.5, 0.5, (place,), 0.5)
            for place, word in enumerate(islice(words, TAGS))
        )
        begin = int(self._random.integers(WORDS - EVIDENCE))
        evidence = tuple(
            Evidence(text, round(0.7 - place / 50, 6))
            for place, text in enumerate(self._captions[begin : begin + EVIDENCE])
        )
        return ref, Record(
            bucket=BUCKET, key=key, etag=ref.etag, state="done", tags=tags, evidence=evidence,
            space_id=REVISION.space_id, captions_version=REVISION.captions_version,
            timings_ms={"embedding": 20.5, "retrieval": 2.25, "extraction": 0.5, "scoring": 1.75, "total": 400.125},
            finished_at=1_700_000_000.0 + number / 10,
        )  # fmt: skip
