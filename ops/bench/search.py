"""``python -m ops.bench search``: what keeping the vectors of images gives and costs, against its targets.

Parts, of which ``--only`` chooses some:

    latency   search among a million made images, recall and memory; the index is built in the folder once
    keeping   CPU time of keeping a vector
    archive   tagging again from kept vectors, and an archive that follows a caption, in a real stack
    finding   search by words among labelled photographs
    examples  teaching by one example on those photographs

A part that cannot be measured here is named in the output with the reason. Targets are for the default sizes;
``--short`` only shows that everything runs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from ops.bench import archive, index_latency
from ops.bench.examples import example_figures
from ops.bench.finding import Ways
from ops.bench.keeping import keeping_figures
from ops.bench.labelled import Images, labelled_set, opened, tagged
from ops.bench.machine import machine, versions
from ops.bench.searching import NEW
from ops.bench.stacks import COPIED
from tasks.evaluation.manifest import BadManifest
from vectordb.errors import WildtagError
from workers.settings.settings import Settings

console = Console()
messages = Console(stderr=True)

Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Sizes:
    """How much is measured. ``new``: images without a graph. ``limit``: photographs, and cut-outs; ``None``: all."""

    images: int
    queries: int
    new: int
    kept: int
    photographs: int
    archive: int
    lessons: int
    limit: int | None


LONG = Sizes(
    images=1_000_000, queries=250, new=NEW, kept=16_000, photographs=600, archive=100_000, lessons=30,
    limit=None,
)  # fmt: skip
SHORT = Sizes(
    images=3000, queries=10, new=300, kept=600, photographs=8, archive=300, lessons=2, limit=12
)  # fmt: skip


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table. ``least``: the target is a lower bound. ``value``: ``None`` if it was not measured.

    ``reached``: ``None`` where the target does not apply or nothing was measured. ``missing``: why it was not.
    """

    part: str
    name: str
    unit: str
    target: float
    least: bool = False
    value: float | None = None
    reached: bool | None = None
    missing: str | None = None


_FILTERS = ("common", "medium", "rare")


def _with_tag(
    figure: str, worst: Callable[[Iterator[float]], float], step: str = "alone"
) -> Callable[[Figures], float]:
    return lambda found: worst(
        found[step]["kinds"][kind][figure] for kind in _FILTERS if kind in found[step]["kinds"]
    )


def _of(*path: str) -> Callable[[Figures], float]:
    def found(figures: Any) -> float:
        for name in path:
            figures = figures[name]
        return float(figures)

    return found


# each with the function that takes its value from the figures of its part
MEASURES: tuple[tuple[Measure, Callable[[Figures], float]], ...] = (
    (Measure(part="latency", name="search with a tag, median of the slowest kind", unit="ms", target=5),
     _with_tag("p50_ms", max)),
    (Measure(part="latency", name="search with a tag, 99 %", unit="ms", target=25), _with_tag("p99_ms", max)),
    (Measure(part="latency", name="search with a tag, recall@10", unit="", target=0.98, least=True),
     _with_tag("recall", min)),
    (Measure(part="latency", name="search without a filter, median", unit="ms", target=5),
     _of("alone", "kinds", "no filter", "p50_ms")),
    (Measure(part="latency", name="search without a filter, 99 %", unit="ms", target=25),
     _of("alone", "kinds", "no filter", "p99_ms")),
    (Measure(part="latency", name="the same, recall@10", unit="", target=0.98, least=True),
     _of("alone", "kinds", "no filter", "recall")),
    (Measure(part="latency", name="the same with images without a graph, median", unit="ms", target=5),
     _of("growing", "without_a_build", "no filter", "p50_ms")),
    (Measure(part="latency", name="the same with images without a graph, 99 %", unit="ms", target=25),
     _of("growing", "without_a_build", "no filter", "p99_ms")),
    (Measure(part="latency", name="the owner's own memory, at most", unit="MB", target=1200),
     lambda found: max(found[step]["peak_memory"].get("anonymous", 0.0) for step in ("alone", "growing"))),
    (Measure(part="keeping", name="keeping a vector, CPU of an image", unit="ms", target=0.5), _of("put_ms")),
    (Measure(part="archive", name="tagged again from vectors, images a second", unit="", target=250, least=True),
     _of("retagged_per_s")),
    (Measure(part="archive", name="the same, times the rate with the encoder", unit="", target=5, least=True),
     lambda found: found["retagged_per_s"] / found["encoded_per_s"]),
    (Measure(part="archive", name="a caption is taught, until the archive follows", unit="s", target=30),
     _of("taught_s")),
    (Measure(part="archive", name="images that follow, share of those concerned", unit="", target=1, least=True),
     lambda found: found["right"] / max(1, found["concerned"])),
    (Measure(part="finding", name="search by words, mean average precision", unit="", target=0.70, least=True),
     _of("fused", "average_precision")),
    (Measure(part="examples", name="lessons whose label is on all views, of 30", unit="", target=27, least=True),
     _of("everywhere")),
    (Measure(part="examples", name="other images that gain the label, mean share", unit="", target=0.01),
     _of("strayed")),
)  # fmt: skip
PARTS = tuple(dict.fromkeys(measure.part for measure, _ in MEASURES))


def main(arguments: Sequence[str]) -> None:
    """Measure the chosen parts, and print a table or JSON."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    only = [name.strip() for name in chosen.only.split(",")]
    if unknown := [name for name in only if name not in PARTS]:
        parser.error(f"there is no part {', '.join(unknown)}; the parts are {', '.join(PARTS)}")
    found: dict[str, Any] = {"machine": machine(), "versions": versions(), "short": chosen.short}
    figures: dict[str, Figures] = {}
    missing: dict[str, str] = {}
    for part, run in _runs(chosen).items():
        if part not in only:
            missing[part] = "not asked for"
            continue
        messages.print(f"measuring {part}")
        try:
            with redirect_stdout(sys.stderr):  # log lines: standard output is for the table
                figures[part] = run()
        except (WildtagError, ImportError, OSError) as exc:
            missing[part] = str(exc)
            messages.print(f"{part} was not measured: {exc}", markup=False, soft_wrap=True)
    if "examples" in figures and chosen.cutouts is None:
        missing["cut-outs"] = "not given, see --cutouts: a taught label could only stray to photographs"
    rows = [_row(measure, value, figures, missing, short=chosen.short) for measure, value in MEASURES]
    found |= {"measures": rows, "missing": missing, "figures": figures, "load_after": machine()["load"]}
    if chosen.json:
        console.out(msgspec.json.encode(found).decode(), highlight=False)
    else:
        console.print(_table(found, rows))
        for name, reason in missing.items():
            console.print(f"missing: {name}: {reason}", markup=False, soft_wrap=True)


def _runs(chosen: argparse.Namespace) -> dict[str, Callable[[], Figures]]:
    sizes = SHORT if chosen.short else LONG
    tried: list[tuple[Images, Images | None]] = []

    def evaluated(work: Callable[..., Figures]) -> Figures:
        if chosen.photographs is None:
            raise BadManifest("no labelled photographs: give --photographs and --photographs-root")
        photographs = labelled_set(chosen.photographs, chosen.photographs_root)
        items = photographs.spread(sizes.limit)
        cutouts = labelled_set(chosen.cutouts, chosen.cutouts_root).spread(sizes.limit) if chosen.cutouts else ()
        with opened(Settings()) as (wiring, captions):
            if not tried:  # once for both parts
                others = tagged(cutouts, wiring, captions) if cutouts else None
                tried.append((tagged(items, wiring, captions), others))
            read = len(tried[0][0].items)
            skipped = len(photographs.skipped) + len(items) - read
            return {"photographs": read, "skipped": skipped, **work(*tried[0], wiring, captions)}

    return {
        "latency": lambda: index_latency.measured(chosen.folder, sizes.images, sizes.queries, sizes.new),
        "keeping": lambda: keeping_figures(sizes.kept),
        # captions that are encoded already need not be encoded again
        "archive": lambda: archive.measured(sizes.photographs, sizes.archive, home=_home_with_captions()),
        "finding": lambda: evaluated(
            lambda images, _, wiring, captions: {
                one.name: msgspec.to_builtins(one) for one in Ways.of(images, wiring, captions).figures()
            }
        ),
        "examples": lambda: evaluated(
            lambda images, others, wiring, _: example_figures(images, others, wiring, sizes.lessons)
        ),
    }


def _home_with_captions() -> Path | None:
    home = Settings().home
    return home if all((home / part).is_dir() for part in COPIED) else None


def _row(
    measure: Measure, value: Callable[[Figures], float], figures: Mapping[str, Figures], missing: Mapping[str, str],
    *, short: bool,
) -> Measure:  # fmt: skip
    if measure.part not in figures:
        return msgspec.structs.replace(measure, missing=missing[measure.part])
    got = round(value(figures[measure.part]), 4)
    reached = None if short else (got >= measure.target if measure.least else got <= measure.target)
    return msgspec.structs.replace(measure, value=got, reached=reached)


def _table(found: Mapping[str, Any], rows: Sequence[Measure]) -> Table:
    where = found["machine"]
    view = Table(
        title=f"{where['cpu']}, {where['cores']} cores, load {where['load'][0]}, then {found['load_after'][0]}",
        caption=", ".join(f"{name} {value}" for name, value in found["versions"].items()),
    )
    for name in ("part", "measure", "target", "measured"):
        view.add_column(name, justify="right" if name in ("target", "measured") else "left")
    signs = {True: "", False: " (missed)", None: ""}
    for row in rows:
        value = "missing" if row.value is None else f"{row.value:g} {row.unit}{signs[row.reached]}"
        view.add_row(row.part, row.name, f"{'≥' if row.least else '≤'} {row.target:g} {row.unit}", value)
    return view


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ops.bench search", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas (default: all)")
    parser.add_argument("--short", action="store_true", help="small sizes, to which no target applies")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path("bench"),
        help="of the made images, kept for the next run; 4 GB (default: %(default)s)",
    )
    for name, what in (("photographs", "labelled photographs"), ("cutouts", "labelled cut-outs, others to stray to")):
        parser.add_argument(f"--{name}", type=Path, help=f"{what}: a table, or a folder of class folders")
        parser.add_argument(f"--{name}-root", type=Path, help="folder that the paths are relative to")
    parser.add_argument("--json", action="store_true", help="print all figures and their conditions as JSON")
    return parser
