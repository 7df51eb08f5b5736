"""``python -m ops.bench captions``: speed and memory of encoding, importing and searching captions.

The captions are composed from the starter list (see ``ops.bench.composed``) and encoded once, which takes about
twenty minutes for a million. Vectors and the exact neighbours of 1,000 held-out queries are cached in the work
folder. Parts: ``import`` adds the vectors to a new index and builds its graph; ``serve`` opens that index in a new
process and searches it; ``encode`` compares our text encoder with sentence-transformers in float32 (to use the
package itself: ``pip install 'wildtag[bench]'``).
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from itertools import islice
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from ops.bench import encoding, truth
from ops.bench.composed import SEED, texts
from ops.bench.machine import machine, table, versions
from ops.bench.prepared import HELD_OUT, Prepared, folder_of
from ops.bench.watched import watched
from tasks.encoders.bundled import BundledTextEncoder, bundled_space
from vectordb.options import IndexOptions
from workers.settings.settings import Settings

PARTS = ("import", "serve", "encode")
TUNED = ("m", "ef_construct", "ef", "oversampling")  # index options that the command line accepts

console = Console()
messages = Console(stderr=True)


def main(arguments: Sequence[str]) -> None:
    """Measure the chosen parts, and print a table or JSON."""
    chosen = _parser().parse_args(arguments)
    found: dict[str, Any] = {"machine": machine(), "versions": versions()}
    if "encode" in chosen.part:
        sample = list(islice(texts(SEED), chosen.sample))
        found["encode"] = encoding.compared(sample, chosen.rounds, chosen.threads, Settings().cache_folder)
    if {"import", "serve"} & set(chosen.part):
        found["index"] = _index(chosen)
    found["load_after"] = machine()["load"]
    if chosen.json:
        console.out(json.dumps(found), highlight=False)
    else:
        console.print(table(found, "figure", _rows(found)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ops.bench captions", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--count", type=int, default=1_000_000, help="number of captions in the index (default: %(default)s)"
    )
    parser.add_argument(
        "--work",
        type=Path,
        default=Path("bench"),
        help="folder for vectors and index; 8 GB per million captions (default: %(default)s)",
    )
    parser.add_argument(
        "--part", nargs="+", choices=PARTS, default=list(PARTS), help="parts to measure (default: all)"
    )
    parser.add_argument(
        "--sample", type=int, default=2048, help="captions per round of encoding (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=7, help="rounds of encoding (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="threads for encoding (default: %(default)s)")
    parser.add_argument("--also-ef", type=int, nargs="*", default=[], help="further values of ef to search with")
    for field in fields(IndexOptions):
        if field.name in TUNED:
            kind = type(field.default)
            parser.add_argument(
                f"--{field.name.replace('_', '-')}", type=kind, help=f"option of the index (default: {field.default})"
            )
    parser.add_argument("--json", action="store_true", help="print all figures and their conditions as JSON")
    return parser


def _index(chosen: argparse.Namespace) -> dict[str, Any]:
    tuned = {name: value for name in TUNED if (value := getattr(chosen, name)) is not None}
    prepared = Prepared(folder_of(chosen.work, bundled_space().id), chosen.count)
    with Progress(console=messages, transient=True) as progress:
        bar = progress.add_task("encoding captions", total=chosen.count + HELD_OUT)
        prepared.make(lambda: BundledTextEncoder(chosen.work), lambda done: progress.update(bar, completed=done))
    return measured(prepared, chosen.work, tuned, chosen.part, chosen.also_ef)


def measured(
    prepared: Prepared, work: Path, tuned: dict[str, Any], parts: Sequence[str], efs: Sequence[int]
) -> dict[str, Any]:
    """Figures of an index of the prepared captions in the folder ``work``, which is built with the part ``import``.

    ``tuned``: options that differ from the defaults. ``efs``: further values of ``ef`` to search with.
    """
    truth.find(prepared)
    options = IndexOptions(**tuned).decided(prepared.count)
    target = work / f"index-{prepared.count}-m{options.m}-{options.ef_construct}"
    found: dict[str, Any] = {"captions": prepared.count, "held_out": HELD_OUT, "options": asdict(options)}
    common = [str(target), prepared.description(), json.dumps(tuned)]
    if "import" in parts:
        shutil.rmtree(target, ignore_errors=True)
        found["import"] = list(_steps("ops.bench.importing", common))
        seconds = sum(step["seconds"] for step in found["import"] if step["step"] in {"added", "built"})
        found["captions_per_second"] = prepared.count / seconds
        # allocated blocks, since the files of the engine are sparse
        found["on_disk_mb"] = sum(file.stat().st_blocks for file in target.rglob("*") if file.is_file()) * 512 / 1e6
    if "serve" in parts:
        found["serve"] = list(_steps("ops.bench.serving", [*common, json.dumps(list(efs))]))
    return found


def _steps(module: str, arguments: Sequence[str]) -> Iterator[dict[str, Any]]:
    for step, peak in watched(module, arguments):
        messages.print(f"{module}: {json.dumps(step)}, peak {json.dumps(peak)}", highlight=False, soft_wrap=True)
        yield {**step, "peak_memory": peak}


def _rows(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if encode := found.get("encode"):
        yield f"captions encoded per second, {encode['dtype']}", f"{encode['per_second']['ours']:.0f}"
        yield f"the same, {encode['reference']}, float32", f"{encode['per_second']['theirs']:.0f}"
        yield "ratio; lowest cosine", f"{encode['ratio']:.2f}; {encode['cosine']['least']:.5f}"
    index = found.get("index", {})
    for step in index.get("import", []):
        took = f"{step['seconds']:.0f} s ({step['cpu_seconds']:.0f} s of CPU), peak {_memory(step['peak_memory'])}"
        yield f"{step['step']}, {step['captions']:,} captions", took
    if "captions_per_second" in index:
        yield "captions imported per second, with the graph", f"{index['captions_per_second']:.0f}"
        yield "on disk", f"{index['on_disk_mb']:.0f} MB"
    for step in index.get("serve", []):
        match step["step"]:
            case "opened":
                yield "opened", f"{step['seconds']:.2f} s, {_memory(step['memory'])}"
            case "searched":
                together, alone = step["batched_ms"]["median"], step["alone_ms"]["median"]
                took = f"{together:.2f} ms in batches of 32, {alone:.2f} ms alone"
                yield f"recall@10, ef {step['ef']}", f"{step['recall']:.4f}, {took}, {_memory(step['memory'])}"
            case "many":
                yield f"after {step['queries']:,} other queries", _memory(step["memory"])
            case "taught":
                took = f"{step['add_ms']['median']:.1f} ms to add, {step['batched_ms']:.2f} ms to search"
                yield f"{step['captions']} taught one by one", f"{took}, {step['listing_ms']:.0f} ms to list"


def _memory(figures: dict[str, float]) -> str:
    names = (("resident", "resident"), ("anonymous", "own"), ("file", "of files"))
    return ", ".join(f"{figures.get(name, 0):.0f} MB {word}" for name, word in names)
