"""All stages in one process, for files: what ``wildtag tag`` and ``wildtag segment`` run.

Only one process can open the captions of a home. If a stack runs in this home, its retrieval worker searches them;
otherwise this process opens them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tasks.images import BadImage
from tasks.message_parts import Fault, ObjectRef, UserMetadata
from tasks.pipeline import Pipeline
from tasks.segmentation.run import SegmentationMethod, segment
from workers.embedded.caption_access import captions_of
from workers.lifecycle.outcomes import done, failed
from workers.lifecycle.record import Error, Record
from workers.segmentation.artifacts import label_map_png, overlay_jpeg
from workers.segmentation.methods import recorded
from workers.settings.settings import Settings
from workers.stages.unusable import verdict
from workers.stores.folder_files import read_file
from workers.stores.store import ObjectError
from workers.wiring.pipeline import pipeline as pipeline_of
from workers.wiring.wiring import Wiring

BUCKET = "files"


@contextmanager
def tagging(settings: Settings) -> Iterator[Tagger]:
    """A tagger that uses the captions of these settings.

    Both encoders are loaded in a thread, one after the other: a library that both use must not be imported twice.
    """
    wiring = Wiring(settings)
    pool = ThreadPoolExecutor()
    pool.submit(wiring.decoders.warm)  # if it fails, decoding reports it
    encoders = pool.submit(lambda: (wiring.image_encoder, wiring.text_encoder))
    pool.shutdown(wait=False)
    with captions_of(wiring) as captions:
        encoders.result()
        yield Tagger(
            pipeline_of(wiring, captions, wiring.revision.captions_version, time.perf_counter),
            settings.max_object_bytes,
        )


@dataclass(frozen=True)
class Drawn:
    """The encoded artifacts of a segmentation: the label map as PNG, the overlay as JPEG."""

    label_map: bytes
    overlay: bytes


class Tagger:
    """Tags and segments files."""

    def __init__(self, pipeline: Pipeline, max_bytes: int) -> None:
        self._pipeline = pipeline
        self._max_bytes = max_bytes

    def tag(self, paths: Sequence[Path], now: float, user: UserMetadata | None = None) -> list[Record]:
        """One record per file, in order; failed and skipped files have an ``error``.

        ``now``: Unix seconds. ``user``: what the records repeat.
        """
        refs: list[ObjectRef] = []
        images: list[bytes] = []
        faults: list[Fault] = []
        for path in paths:
            ref = ObjectRef(BUCKET, str(path), "", user_metadata=user)
            try:
                images.append(read_file(path, self._max_bytes)[0])
            except ObjectError as exc:
                faults.append(Fault(ref, exc.code, str(exc)))
            else:
                refs.append(ref)
        scored, bad = self._pipeline.run(self._pipeline.submit(refs), images)
        data = {ref.id: image for ref, image in zip(refs, images, strict=True)}
        options = self._pipeline.pipeline_options
        outcomes = list(done(scored, now, {}))
        for fault in (*faults, *bad):
            state, said = verdict(fault, data.get(fault.object.id), video=options.video)
            outcomes += failed([said], scored, now, {}, state)
        records = {record.key: record for record in outcomes}
        return [records[str(path)] for path in paths]

    def segment(self, path: Path, method: SegmentationMethod, now: float) -> tuple[Record, Drawn | None]:
        """The record of a file, and its artifacts unless it failed. ``now``: Unix seconds."""
        (record,) = self.tag([path], now)
        if record.state != "done":
            return record, None
        start = time.perf_counter()
        try:
            options = self._pipeline.pipeline_options
            data, _ = read_file(path, self._max_bytes)
            (image, *_), _ = self._pipeline.decode(data, max_pixels=options.max_pixels, video=options.video)
            segmented = segment(image, method, self._pipeline)
        except (ObjectError, BadImage) as exc:  # the file has just changed
            return msgspec.structs.replace(record, state="failed", tags=(), error=Error(exc.code, str(exc))), None
        timings = record.timings_ms | {"segmentation": round((time.perf_counter() - start) * 1000, 3)}
        record = msgspec.structs.replace(record, segmentation=recorded(segmented, None), timings_ms=timings)
        return record, Drawn(label_map_png(segmented), overlay_jpeg(image, segmented))
