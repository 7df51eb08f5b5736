"""The whole method in this process, for files: what ``wildtag tag`` runs.

The captions belong to one process. When a stack of this home runs, its retrieval worker owns them and is asked;
otherwise they are opened here.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tasks.messages import Fault, ObjectRef
from tasks.pipeline import Pipeline
from workers.outcomes import done, failed
from workers.reaching import captions_of
from workers.record import Record
from workers.settings import Settings
from workers.stores.folder import read_file
from workers.stores.store import ObjectError
from workers.wiring import Wiring

BUCKET = "files"


@contextmanager
def tagging(settings: Settings) -> Iterator[Tagger]:
    """A tagger over the captions of these settings."""
    wiring = Wiring(settings)
    with captions_of(wiring) as captions:
        yield Tagger(
            wiring.pipeline(captions, wiring.revision.captions_version, time.perf_counter),
            settings.max_object_bytes,
        )


class Tagger:
    """Tags files."""

    def __init__(self, pipeline: Pipeline, max_bytes: int) -> None:
        self._pipeline = pipeline
        self._max_bytes = max_bytes

    def tag(self, paths: Sequence[Path], now: float) -> list[Record]:
        """A record for each file, in their order; ``failed`` ones say why. ``now``: Unix seconds."""
        refs: list[ObjectRef] = []
        images: list[bytes] = []
        faults: list[Fault] = []
        for path in paths:
            ref = ObjectRef(BUCKET, str(path), "")
            try:
                images.append(read_file(path, self._max_bytes)[0])
            except ObjectError as exc:
                faults.append(Fault(ref, exc.code, str(exc)))
            else:
                refs.append(ref)
        scored, bad = self._pipeline.run(self._pipeline.submit(refs), images)
        outcomes = [*failed([*faults, *bad], scored, now, {}), *done(scored, now, {})]
        records = {record.key: record for record in outcomes}
        return [records[str(path)] for path in paths]
