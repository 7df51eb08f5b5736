"""``evaluate --task segmentation``: measure label maps against those of a folder, or of composed images."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec
import typer
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from workers.cli.console import console, messages
from workers.cli.first_start import prepare_captions
from workers.settings.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.evaluation.compositions import Composition
    from tasks.evaluation.segmenting import Measured
    from workers.evaluation.segmentation import Folder, Made

FIGURES = {
    "nearest": "jaccard_nearest", "overlap": "jaccard_overlap", "hard": "jaccard_hard", "soft": "jaccard_soft",
    "hard recall": "recall_hard", "soft recall": "recall_soft",
}  # fmt: skip
SHOWN = 20  # skipped images that are listed


def evaluate_segmentation(
    source: Folder | Made,
    names: Iterable[str],
    settings: Settings,
    progress: Progress,
    *,
    images: int | None,
    baseline: bool,
    json: bool,
) -> None:
    """Measure, and print a table or one JSON object. ``progress`` must be started."""
    from workers.embedded.caption_access import captions_of  # noqa: PLC0415 -- as above
    from workers.evaluation.adapters import options_in_use  # noqa: PLC0415 -- as above
    from workers.evaluation.conditions import conditions  # noqa: PLC0415 -- as above
    from workers.evaluation.segmentation import label_maps, measured  # noqa: PLC0415 -- as above
    from workers.wiring.segmentation import SegmentationMethods  # noqa: PLC0415 -- as above
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

    bar = progress.add_task("reading", total=None)

    def composing(made: Iterable[Composition]) -> Iterable[Composition]:
        return progress.track(made, task_id=bar, description="composing")

    def tried(done: int, total: int) -> None:
        progress.update(bar, description="evaluating", completed=done, total=total)

    with label_maps(source, composing) as (maps, layout):
        progress.update(bar, description="loading models", completed=0, total=None)
        made = SegmentationMethods(settings)
        methods = {name: made(name) for name in names}
        prepare_captions(settings)
        wiring = Wiring(settings)
        with captions_of(wiring) as index:
            results, skipped = measured(
                wiring, index, maps.spread(images), methods, baseline=baseline, on_progress=tried
            )
            measured_by = conditions(settings, wiring.space, wiring.revision, options_in_use(wiring))
    progress.stop()
    for one in skipped[:SHOWN]:
        messages.print(f"[yellow]skipped[/] {escape(str(one))}", soft_wrap=True)
    if len(skipped) > SHOWN:
        messages.print(f"[yellow]skipped[/] and {len(skipped) - SHOWN:,} more", soft_wrap=True)
    if json:
        body: dict[str, Any] = {
            "set": {
                **_told(source), "layout": layout, "images": results[0].images, "classes": len(maps.classes),
                "skipped": len(skipped), "skipped_because": [str(one) for one in skipped],
            },
            "results": results,
            "conditions": {**measured_by, "proposals": settings.proposals, "clipseg_model": settings.clipseg_model},
        }  # fmt: skip
        console.out(msgspec.json.encode(body).decode(), highlight=False)
        return
    console.print(_table(results))
    summary = (
        f"Jaccard and recall, macro; {results[0].images:,} images, {len(maps.classes):,} classes with the background,"
        f" {len(skipped):,} skipped; space {wiring.space.id}, captions {wiring.revision.captions_version}"
    )
    console.print(f"[dim]{escape(summary)}[/]")


def source_of(
    source: Path, root: Path | None, layout: Any, split: str | None, compositions: int | None, seed: int | None,
    keep: Path | None,
) -> Folder | Made:  # fmt: skip
    """The data set that the options name. Raises ``typer.BadParameter`` if they exclude each other."""
    from workers.evaluation.segmentation import Folder, Made  # noqa: PLC0415 -- keeps the command line quick

    if compositions is None:
        if root is not None or seed is not None or keep is not None:
            raise typer.BadParameter("--root, --seed and --keep apply only with --compositions")
        return Folder(source, layout, split)
    if layout is not None or split is not None:
        raise typer.BadParameter("--layout and --split apply to a folder of label maps, not to --compositions")
    if keep is not None and keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        raise typer.BadParameter(f"{keep} is not empty: --keep needs a new or empty folder")
    return Made(source, root, compositions, seed or 0, keep)


def _told(source: Folder | Made) -> dict[str, Any]:
    from workers.evaluation.segmentation import Folder  # noqa: PLC0415 -- keeps the command line quick

    if isinstance(source, Folder):
        return {"source": str(source.path), "split": source.split}
    return {"source": str(source.manifest), "compositions": source.count, "seed": source.seed}


def _table(results: list[Measured]) -> Table:
    view = Table(box=None, pad_edge=False)
    view.add_column("method", style="bold", overflow="fold")
    for name in (*FIGURES, "labels"):
        view.add_column(name, justify="right")
    for result in results:
        figures = [f"{getattr(result.overlaps, name):.3f}" for name in FIGURES.values()]
        view.add_row(escape(result.method), *figures, f"{result.labels:,}")
    return view
