"""The cost of keeping the vector of an image, a part of ``python -m ops.bench search``.

The retrieval stage puts batches into an embedded index of images, and sets their tags and words when they have
records. CPU time of the whole process, all threads of the library included. At last the graph is built by a child
process, as it is for every 20,000 new images; its CPU time is given apart, since it is not on the way of an image.
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ops.bench.image_vectors import MadeImages
from tasks.message_parts import Floor, Media, ObjectRef, Revision, Vectors
from tasks.messages import Embedded, Retrieved
from vectordb.errors import Permanent
from vectordb.image_folder import FolderImages
from vectordb.image_growth import GrowingImages
from vectordb.images import ImageEntry, ImageLabels
from vectordb.index import Floats
from workers.images.keeping import keep
from workers.images.open_images import OpenImages
from workers.settings.settings import Settings

PATIENCE_S = 600.0
SPACE = "bench"
MEDIA = Media(format="image/jpeg", width=640, height=480, bytes=100_000)


def keeping_figures(images: int) -> dict[str, Any]:
    """Milliseconds of CPU for each image: putting it, labelling it, and one build of its graph."""
    made = MadeImages(images)
    size = Settings.model_fields["batch_max"].default
    took = {"put": 0.0, "label": 0.0}
    with tempfile.TemporaryDirectory(prefix="keeping-") as folder:
        library = FolderImages(Path(folder))
        opened = OpenImages(lambda: library, SPACE, made.dimension)
        index = opened.index()
        for entries, vectors in made.pieces():
            for start in range(0, len(entries), size):
                part = entries[start : start + size]
                retrieved, embedded = _messages(part, vectors[start : start + size])
                labels = [
                    ImageLabels(one.bucket, one.key, one.etag, one.tags, dict.fromkeys(one.tags, 1.0)) for one in part
                ]
                begun = time.process_time()
                keep(opened, retrieved, embedded)
                took["put"] += time.process_time() - begun
                begun = time.process_time()
                index.label(labels)
                took["label"] += time.process_time() - begun
        if index.count() != images:
            raise Permanent(f"{index.count()} of {images} images were kept")
        graph = _graph(index, images)
        opened.close()
    cost = {f"{name}_ms": round(1000 * seconds / images, 4) for name, seconds in took.items()}
    return {"images": images, "batch": size, **cost, "graph_ms": round(1000 * graph / images, 4)}


def _messages(part: Sequence[ImageEntry], vectors: Floats) -> tuple[Retrieved, Embedded]:
    refs = tuple(ObjectRef(one.bucket, one.key, one.etag, 100_000) for one in part)
    revision, packed = Revision(SPACE, "starter@1"), Vectors.of(vectors)
    retrieved = Retrieved(
        objects=refs, revision=revision, vectors=packed, centroids=packed, hits=((),) * len(refs),
        floors=(Floor(0.1, 0.2),) * len(refs),
    )  # fmt: skip
    embedded = Embedded(
        objects=refs, revision=revision, vectors=packed, media=(MEDIA,) * len(refs),
        featureless=(False,) * len(refs), hashes=(b"\x5a" * 32,) * len(refs), view="bench",
    )  # fmt: skip
    return retrieved, embedded


def _graph(index: Any, images: int) -> float:
    """Seconds of CPU of the process that builds the graph of these images."""
    if not isinstance(index, GrowingImages):
        raise Permanent(f"{type(index).__name__} builds no graph of its own")
    begun = resource.getrusage(resource.RUSAGE_CHILDREN)
    deadline = time.monotonic() + PATIENCE_S
    index.maintain(images - 1)
    while index.without_graph():
        if time.monotonic() > deadline:
            raise Permanent(f"the graph was not built within {PATIENCE_S:.0f} s")
        time.sleep(0.05)
        index.maintain(images - 1)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return float(np.sum([ended.ru_utime - begun.ru_utime, ended.ru_stime - begun.ru_stime]))
