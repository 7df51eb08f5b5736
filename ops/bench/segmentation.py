"""``python -m ops.bench segmentation``: cost of segmentation relative to encoding, and savings of a coarse pass.

Measured alternately in one process, for each image: encoding of the crops of ``dense``, dense with an empty cache,
dense again, dense with ``refine``, and regions of superpixels. The images are photographs of scikit-image, and images
of a manifest. With ``--areas`` the labels of dense with and without ``refine`` are compared, without timing.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from rich.progress import track

from ops.bench.machine import machine, table, versions
from ops.bench.pictures import PHOTOGRAPHS, Picture, of_manifest, photographs
from ops.bench.segmenting import compared, comparison, summary, taken
from tasks.evaluation.manifest import read
from tasks.pipeline import Pipeline
from tasks.segmentation.dense import Dense
from tasks.segmentation.regions import Regions
from tasks.segmentation.run import SegmentationMethod
from tasks.segmenters.superpixels import Superpixels
from workers.cli.console import console, messages
from workers.embedded.caption_access import captions_of
from workers.settings.settings import Settings
from workers.wiring.captions import prepare_captions
from workers.wiring.pipeline import pipeline as pipeline_of
from workers.wiring.wiring import Wiring

TARGET = 1.3  # time of dense relative to encoding its crops
METHODS: dict[str, SegmentationMethod] = {
    "dense": Dense(), "dense, refine": Dense(refine=True), "regions, superpixels": Regions(Superpixels()),
}  # fmt: skip


def main(arguments: Sequence[str]) -> None:
    """Measure, and print a table or JSON."""
    chosen = _parser().parse_args(arguments)
    pictures = list(photographs(chosen.photographs))
    if chosen.manifest:
        pictures += of_manifest(read(chosen.manifest, chosen.root).items, chosen.made, chosen.whole, chosen.seed)
    settings = Settings()
    prepare_captions(settings)
    wiring = Wiring(settings)
    found: dict[str, Any] = {
        "machine": machine(), "versions": versions(), "space": wiring.space.id,
        "captions_version": wiring.revision.captions_version, "pictures": [name for name, _ in pictures],
    }  # fmt: skip
    with captions_of(wiring) as index:
        pipeline = pipeline_of(wiring, index, wiring.revision.captions_version)
        found |= measured(pictures, pipeline, chosen.rounds, areas=chosen.areas)
    found["load_after"] = machine()["load"]
    if chosen.json:
        console.out(msgspec.json.encode(found).decode(), highlight=False)
    else:
        console.print(table(found, f"of {len(found['pictures'])} pictures", _rows(found)))


def measured(pictures: Sequence[Picture], pipeline: Pipeline, rounds: int, *, areas: bool) -> dict[str, Any]:
    """The figures, ready for JSON."""
    shown = track(pictures, "segmenting", console=messages, transient=True)
    if areas:
        methods = METHODS["dense"], METHODS["dense, refine"]
        return {"areas": comparison([compared(image, methods, pipeline) for _, image in shown])}
    pipeline.extractor.warm()
    pipeline.text_encoder.encode(["a word"])  # warm up: the first run of a model is slower
    costs = summary([taken(image, METHODS, pipeline, rounds) for _, image in shown])
    return {"rounds": rounds, **costs, "target": TARGET, "reached": costs["ratio"]["cold"] <= TARGET}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ops.bench segmentation", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        "--photographs",
        type=int,
        default=6,
        help=f"photographs of scikit-image, at most {len(PHOTOGRAPHS)} (default: %(default)s)",
    )
    parser.add_argument(
        "--manifest", type=Path, help="TSV file with the columns path and label, or a folder of class folders"
    )
    parser.add_argument("--root", type=Path, help="folder that its paths are relative to")
    parser.add_argument(
        "--made",
        type=int,
        default=0,
        help="number of compositions of the cut-outs in the manifest (default: %(default)s)",
    )
    parser.add_argument(
        "--whole", type=int, default=0, help="number of unchanged images of the manifest (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=7, help="random seed (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="timing rounds per image (default: %(default)s)")
    parser.add_argument("--areas", action="store_true", help="compare labels without timing")
    parser.add_argument("--json", action="store_true", help="print all figures and their conditions as JSON")
    return parser


def _rows(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if areas := found.get("areas"):
        yield "crops, of those of the paper's grids: dense", f"{areas['of_all']['full']:.1%}"
        yield "the same with refine", f"{areas['of_all']['coarse']:.1%}"
        yield "crops with refine, of dense's", f"{areas['of_full']:.1%}"
        yield "area with the same label, mean and median", f"{areas['same']:.1%}, {areas['same_median']:.1%}"
        yield "the same but for names", f"{areas['but_for_names']:.1%}"
        return
    yield "the crops of dense, encoded alone, p50", f"{found['ms']['alone']:.0f} ms"
    for state, ratio in found["ratio"].items():
        yield f"dense over that, {state}", f"{ratio:.2f} ({found['ms'][state]:.0f} ms)"
        yield f"its stages, {state}", ", ".join(f"{name} {part:.1%}" for name, part in found["shares"][state].items())
    for method, crops in found["crops"].items():
        took = found["ms"]["warm" if method not in found["ms"] else method]
        yield f"{method}, p50", f"{crops:.0f} crops, {found['looked_up'][method]:.0f} looked up, {took:.0f} ms"
