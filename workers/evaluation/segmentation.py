"""Parts of a segmentation evaluation: existing or generated label maps, segmentation methods, and baselines."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tasks.evaluation import labelmaps
from tasks.evaluation.compositions import Composition, compositions
from tasks.evaluation.labelmaps import LabelMaps, Layout
from tasks.evaluation.locating import BySegmentationMethod, ByTopTag, CachingEncoder, Method, of_vocabulary
from tasks.evaluation.manifest import BadManifest, Skipped
from tasks.evaluation.manifest import read as read_manifest
from tasks.evaluation.segmenting import Measured, measure
from tasks.evaluation.vocabulary import IMAGENET, read_labels
from tasks.pipeline import Pipeline, PipelineOptions
from tasks.segmentation.run import SegmentationMethod
from vectordb.index import CaptionIndex
from workers.evaluation.adapters import answering, options_in_use, read_limited, sentences
from workers.supervision.temporary import temporary_folder
from workers.wiring.pipeline import pipeline as pipeline_of
from workers.wiring.wiring import Wiring


@dataclass(frozen=True)
class Folder:
    """Existing label maps (``tasks.evaluation.labelmaps``). Without ``layout`` the folder's own is detected."""

    path: Path
    layout: Layout | None = None
    split: str | None = None


@dataclass(frozen=True)
class Made:
    """Compositions of a table's cut-outs, kept in the folder ``keep`` or deleted afterwards."""

    manifest: Path
    root: Path | None
    count: int
    seed: int = 0
    keep: Path | None = None


@contextmanager
def label_maps(
    source: Folder | Made, counted: Callable[[Iterable[Composition]], Iterable[Composition]]
) -> Iterator[tuple[LabelMaps, Layout]]:
    """The images of a source and their layout. ``counted`` wraps the images while they are generated."""
    if isinstance(source, Folder):
        layout = source.layout or labelmaps.layout_of(source.path)
        yield labelmaps.read(source.path, layout, source.split), layout
        return
    items = read_manifest(source.manifest, source.root).items
    with ExitStack() as stack:
        folder = source.keep
        if folder is None:
            folder = temporary_folder("evaluation")
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
        try:
            maps = labelmaps.write(folder, counted(compositions(items, source.count, seed=source.seed)))
        except OSError as exc:
            raise BadManifest(f"the compositions cannot be made: {exc}") from exc
        yield maps, "plain"


def methods_of(
    wiring: Wiring, index: CaptionIndex, segmentation_methods: Mapping[str, SegmentationMethod], *, baseline: bool
) -> list[Method]:
    """The methods to compare; with ``baseline`` also the top tag, and each method with ImageNet's names.

    The top tag is that of ``wildtag evaluate``: every image has one.
    """
    encoder = CachingEncoder(wiring.image_encoder)

    def pipeline(pipeline_options: PipelineOptions) -> Pipeline:
        made = pipeline_of(wiring, index, wiring.revision.captions_version)
        return replace(made, image_encoder=encoder, pipeline_options=pipeline_options)

    ours = pipeline(options_in_use(wiring))
    found: list[Method] = [BySegmentationMethod(name, method, ours) for name, method in segmentation_methods.items()]
    if baseline:
        fixed = of_vocabulary(ours, read_labels(IMAGENET))
        found += [
            BySegmentationMethod(f"{name}:{IMAGENET}", method, fixed) for name, method in segmentation_methods.items()
        ]
        found.append(ByTopTag(pipeline(answering(wiring))))
    return found


def measured(
    wiring: Wiring,
    index: CaptionIndex,
    maps: LabelMaps,
    segmentation_methods: Mapping[str, SegmentationMethod],
    *,
    baseline: bool,
    on_progress: Callable[[int, int], None],
) -> tuple[list[Measured], tuple[Skipped, ...]]:
    """See ``tasks.evaluation.segmenting.measure``."""
    settings = wiring.settings
    methods = methods_of(wiring, index, segmentation_methods, baseline=baseline)
    return measure(
        maps, methods, sentences(settings.cache_folder), read=partial(read_limited, settings.max_object_bytes),
        max_pixels=settings.max_pixels, decode=wiring.decoders, on_progress=on_progress,
    )  # fmt: skip
