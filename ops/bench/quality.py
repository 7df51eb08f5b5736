"""``python -m ops.bench quality MANIFEST --root DIR``: find the best parameters of the method on labelled images.

Tune on a validation set, and report figures of another set.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec
import numpy as np
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from ops.bench.sweep import Grid, Row, sweep
from tasks.encoders.disk_cache import cached_on_disk
from tasks.encoders.protocols import TextEncoder
from tasks.evaluation.manifest import BadManifest, Item, read
from tasks.evaluation.run import Source, embedded_of
from tasks.extraction import extractor
from tasks.message_parts import Floats, Vectors
from tasks.messages import Embedded
from vectordb.exact import ExactIndex
from vectordb.index import CaptionSearch
from vectordb.starter import captions, version
from workers.cli.console import console, messages
from workers.embedded.caption_access import captions_of
from workers.evaluation.adapters import answering, judge, source_of
from workers.evaluation.conditions import conditions
from workers.settings.settings import Settings
from workers.wiring.captions import prepare_captions
from workers.wiring.wiring import Wiring

CHUNK = 1024  # captions per step of the progress bar
PROFILES = ("phrases", "paper")


def main(arguments: Sequence[str]) -> None:
    """Sweep, and print the best combinations by semantic similarity, or all as JSON."""
    chosen = _parser().parse_args(arguments)
    settings = Settings()
    prepare_captions(settings)
    wiring = Wiring(settings)
    labelled = read(chosen.manifest, chosen.root)
    items = labelled.spread(chosen.limit)
    embedded, targets = _embedded(items, source_of(wiring))
    own = wiring.space.logit_scale
    grid = Grid(chosen.k, chosen.alpha, chosen.scale or [own / 2, own, own * 2])
    profiles = {name: extractor(name) for name in chosen.profile}
    with ExitStack() as stack:
        indexes: dict[str, CaptionSearch] = {}
        if chosen.template:
            indexes = {text: _made(text, wiring.text_encoder, settings.cache_folder) for text in chosen.template}
        else:
            indexes[wiring.revision.captions_version] = stack.enter_context(captions_of(wiring))
        pipeline_options = answering(wiring)
        rows = sweep(
            embedded,
            targets,
            indexes,
            profiles,
            wiring.text_encoder,
            grid,
            judge(settings.cache_folder),
            pipeline_options,
            wiring.reference_vectors,
        )
        total = len(indexes) * len(profiles) * len(grid)
        found = list(track(rows, "sweeping", total=total, console=messages, transient=True))
    best = sorted(found, key=lambda row: -row.semantic_similarity)
    if chosen.json:
        body = {
            "source": str(chosen.manifest), "images": len(targets), "skipped": len(items) - len(targets),
            "rows": best, "conditions": conditions(settings, wiring.space, wiring.revision, pipeline_options),
        }  # fmt: skip
        console.out(msgspec.json.encode(body).decode(), highlight=False)
        return
    console.print(_table(best[: chosen.top]))
    console.print(f"[dim]{len(targets)} images, {len(found)} combinations, space {wiring.space.id}[/]")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ops.bench quality", description=__doc__)
    parser.add_argument(
        "manifest", type=Path, help="TSV file with the columns path and label, or a folder of class folders"
    )
    parser.add_argument("--root", type=Path, help="folder that the paths are relative to")
    parser.add_argument("--limit", type=int, help="maximum number of images, spread evenly over the set")
    parser.add_argument(
        "--k", type=_numbers, default=[5, 10, 15, 20], help="numbers of captions per image, such as 5,10,20"
    )
    parser.add_argument(
        "--alpha", type=_fractions, default=[0.3, 0.5, 0.7, 0.85, 1.0], help="weights of the image, such as 0.5,0.7"
    )
    parser.add_argument(
        "--scale", type=_fractions, help="logit scales (default: 0.5, 1 and 2 times that of the encoder)"
    )
    parser.add_argument(
        "--profile", nargs="+", choices=PROFILES, default=list(PROFILES),
        help="how to extract candidates (default: all)",
    )  # fmt: skip
    parser.add_argument(
        "--template",
        action="append",
        help="use starter captions made with this template, such as '{noun}', instead of the active captions",
    )
    parser.add_argument("--top", type=int, default=25, help="rows of the table (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print all combinations and their conditions as JSON")
    return parser


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _fractions(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


def _embedded(items: Sequence[Item], source: Source) -> tuple[Embedded, list[str]]:
    """All readable images as one batch, and their labels."""
    batches, labels = [], []
    starts = range(0, len(items), source.batch)
    for begin in track(starts, "embedding", console=messages, transient=True):
        part = items[begin : begin + source.batch]
        batch, _, skipped = embedded_of(part, source)
        for one in skipped:
            messages.print(f"skipped {one}", markup=False, soft_wrap=True)
        batches.append(batch)
        labels += [part[int(ref.key)].label for ref in batch.objects]
    if not labels:
        raise BadManifest(f"none of the {len(items)} images can be read")
    vectors = np.concatenate([batch.vectors.array() for batch in batches])
    objects = tuple(ref for batch in batches for ref in batch.objects)
    return Embedded(objects=objects, revision=source.revision, vectors=Vectors.of(vectors)), labels


def _made(template: str, encoder: TextEncoder, cache: Path) -> ExactIndex:
    """The starter captions with another template. Their vectors are cached in the cache folder."""
    unique = list({caption.id: caption for caption in captions(template)}.values())

    def compute() -> Mapping[str, Floats]:
        starts = range(0, len(unique), CHUNK)
        parts = track(starts, f"encoding {template}", console=messages, transient=True)
        texts = [caption.text for caption in unique]
        return {"vectors": np.concatenate([encoder.encode(texts[at : at + CHUNK]) for at in parts])}

    index = ExactIndex(encoder.space.dimension)
    kept = cache / f"template-{encoder.space.id}-{version(template)}.npz"
    index.add(unique, cached_on_disk(kept, compute)["vectors"])
    return index


def _table(rows: Sequence[Row]) -> Table:
    view = Table(pad_edge=False)
    view.add_column("captions", overflow="ellipsis")
    for name in ("profile", "K", "alpha", "scale", "accuracy", "IoU", "similarity", "labels", "cand."):
        view.add_column(name, justify="left" if name == "profile" else "right", no_wrap=True)
    for row in rows:
        figures = (row.cluster_accuracy, row.semantic_iou, row.semantic_similarity)
        view.add_row(
            escape(row.captions), row.profile, str(row.k), f"{row.alpha:g}", f"{row.scale:g}",
            *[f"{figure:.3f}" for figure in figures], str(row.unique_labels), f"{row.mean_candidates:.1f}",
        )  # fmt: skip
    return view
