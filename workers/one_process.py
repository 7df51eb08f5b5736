"""The whole method in this process, for files: what ``wildtag tag`` runs.

The captions belong to one process. When a stack of this home runs, its retrieval worker owns them and is asked;
otherwise they are opened here.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tasks.messages import Fault, ObjectRef
from tasks.pipeline import Pipeline
from vectordb.index import CaptionSearch, IndexLocked
from workers.outcomes import done, failed
from workers.records import Record
from workers.remote_index import RemoteIndex
from workers.settings import Settings
from workers.stack import running
from workers.stores.folder import read_file
from workers.stores.store import ObjectError
from workers.wiring import Wiring

BUCKET = "files"


class Tagger:
    """Tags files. A context manager: it lets the captions go at the end."""

    def __init__(self, settings: Settings) -> None:
        self._wiring = Wiring(settings)

    def __enter__(self) -> Self:
        wiring = self._wiring
        self._pipeline = Pipeline(
            wiring.image_encoder, wiring.text_encoder, self._captions(), wiring.revision.captions_version,
            extractor=wiring.extractor, choices=wiring.choices, clock=time.perf_counter,
        )  # fmt: skip
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if "index" in self._wiring.__dict__:
            self._wiring.index.close()

    def tag(self, paths: Sequence[Path], now: float) -> list[Record]:
        """A record for each file, in their order; ``failed`` ones say why. ``now``: Unix seconds."""
        refs: list[ObjectRef] = []
        images: list[bytes] = []
        faults: list[Fault] = []
        for path in paths:
            ref = ObjectRef(BUCKET, str(path), "")
            try:
                images.append(read_file(path, self._wiring.settings.max_object_bytes)[0])
            except ObjectError as exc:
                faults.append(Fault(ref, exc.code, str(exc)))
            else:
                refs.append(ref)
        scored, bad = self._pipeline.run(self._pipeline.submit(refs), images)
        outcomes = [*failed([*faults, *bad], scored, now, {}), *done(scored, now, {})]
        records = {record.key: record for record in outcomes}
        return [records[str(path)] for path in paths]

    def _captions(self) -> CaptionSearch:
        try:
            return self._wiring.index
        except IndexLocked:
            up = running(self._wiring.settings)
            if up is None:
                raise
            there = Wiring(up)
            return RemoteIndex(there.publisher, there.redis, there.keys, self._wiring.space.dimension)
