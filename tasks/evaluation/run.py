"""Runs every method on every image and measures the answers.

Each image is read and embedded once, for all methods. A method's seconds per image include the embedding, as if it
had run alone; its one-time preparation is reported separately.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from PIL import Image

from tasks.encoders.protocols import ImageEncoder
from tasks.evaluation.answers import Answer, Method, Pictures
from tasks.evaluation.manifest import BadManifest, Item, Skipped
from tasks.evaluation.results import Judge, Result
from tasks.images import decode_with_media
from tasks.images.decoder import Decoder
from tasks.message_parts import ObjectRef, Revision
from tasks.messages import Embedded, Submitted
from tasks.pipeline import PipelineOptions, embedding
from vectordb.errors import Permanent


@dataclass(frozen=True)
class Source:
    """How images become vectors: how files are read, and the embedding stage's arguments."""

    read: Callable[[Path], bytes]
    encoder: ImageEncoder
    revision: Revision
    pipeline_options: PipelineOptions
    batch: int = 16
    decode: Decoder = decode_with_media


@dataclass(frozen=True)
class Judged:
    """An evaluated image: per method its answer and the answer's similarity to the true label."""

    item: Item
    answers: tuple[Answer, ...]
    similarities: tuple[float, ...]


@dataclass(frozen=True)
class Evaluation:
    """Results in the order of the methods, and the images in the order of the set."""

    results: tuple[Result, ...]
    pictures: tuple[Judged, ...]
    skipped: tuple[Skipped, ...]


@dataclass
class _Tally:
    """A method's answers so far. Times in seconds."""

    method: Method
    setup: float
    own: float = 0.0
    answers: list[Answer] = field(default_factory=list)


def evaluate(
    items: Sequence[Item],
    source: Source,
    methods: Sequence[Method],
    judge: Judge,
    *,
    clock: Callable[[], float],
    on_progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Run all methods on all images. ``on_progress``: receives the numbers of finished and of all images.

    Images that cannot be read are skipped. Raises ``BadManifest`` if none is left.
    """
    tallies = [_Tally(method, _seconds(method.prepare, clock)) for method in methods]
    good: list[Item] = []
    skipped: list[Skipped] = []
    embedding = 0.0
    for begin in range(0, len(items), source.batch):
        part = items[begin : begin + source.batch]
        start = clock()
        embedded, data, bad = embedded_of(part, source)
        embedding += clock() - start
        skipped += bad
        good += [part[int(ref.key)] for ref in embedded.objects]
        if embedded.objects:
            pictures = Pictures(embedded, partial(_decoded, data, source))
            for tally in tallies:
                start = clock()
                tally.answers += tally.method.answer(pictures)
                tally.own += clock() - start
        if on_progress:
            on_progress(begin + len(part), len(items))
    if not good:
        raise BadManifest(f"none of {len(items)} images can be read: {'; '.join(map(str, skipped[:5]))}")
    targets = [item.label for item in good]
    judged = [
        judge.result(one.method.name, one.answers, targets, embedding=embedding, own=one.own, setup=one.setup)
        for one in tallies
    ]
    pictures_judged = tuple(
        Judged(item, tuple(one.answers[at] for one in tallies), tuple(each[at] for _, each in judged))
        for at, item in enumerate(good)
    )
    return Evaluation(tuple(result for result, _ in judged), pictures_judged, tuple(skipped))


def embedded_of(items: Sequence[Item], source: Source) -> tuple[Embedded, list[bytes], list[Skipped]]:
    """The items as one embedded batch with the bytes of its images, and the skipped items.

    The key of an object is its item's position.
    """
    refs, images, reasons = [], [], {}
    for at, item in enumerate(items):
        try:
            images.append(source.read(item.path))
            refs.append(ObjectRef("evaluation", str(at), ""))
        except Permanent as exc:
            reasons[at] = str(exc)
    batch = Submitted(objects=tuple(refs), revision=source.revision)
    embedded, faults = embedding(batch, images, source.encoder, source.pipeline_options, source.decode)
    reasons.update((int(fault.object.key), fault.reason) for fault in faults)
    skipped = [Skipped(items[at].where, f"{items[at].path}: {reason}") for at, reason in sorted(reasons.items())]
    data = dict(zip((ref.key for ref in refs), images, strict=True))
    return embedded, [data[ref.key] for ref in embedded.objects], skipped


def _decoded(images: Sequence[bytes], source: Source) -> list[Image.Image]:
    return [source.decode(data, max_pixels=source.pipeline_options.max_pixels)[0][0] for data in images]


def _seconds(work: Callable[[], None], clock: Callable[[], float]) -> float:
    start = clock()
    work()
    return clock() - start
