"""``calibrate``: fit the confidence of tags on labelled images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from vectordb.errors import WildtagError
from workers.cli.connection import home_settings
from workers.cli.console import console, messages
from workers.cli.first_start import prepare_captions
from workers.cli.panels import TAG
from workers.settings.settings import Settings

if TYPE_CHECKING:
    from workers.evaluation.calibrating import Calibration

NOT_CALIBRATED = 2  # exit status


def calibrate(
    sources: Annotated[
        list[Path], typer.Argument(help="TSV files (path, label; several labels separated by |) or class folders.")
    ],
    root: Annotated[
        list[Path] | None,
        typer.Option(help="Folder that the paths in the TSV file are relative to; once for each file, in order."),
    ] = None,
    precision: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the shown tags that should be right, on these images.")
    ] = 0.7,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Minimum confidence of a tag; default: from --precision.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Maximum number of images of each source.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="File for the model; default: in the home folder, where tagging finds it.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object with every figure.")] = False,
) -> None:
    """Fit the confidence of tags on labelled images, and print how true it is on images it was not fitted on.

    Restart a running stack to use the new model.
    """
    if root and len(root) != len(sources):
        raise typer.BadParameter(f"{len(sources)} sources, but {len(root)} --root; give none, or one for each")
    settings = home_settings()
    try:
        found = _calibrated(sources, root or [], settings, precision, threshold, limit)
    except WildtagError as exc:
        messages.print(f"[red]wildtag: {escape(str(exc))}[/]", soft_wrap=True)
        raise typer.Exit(NOT_CALIBRATED) from None
    file = output or settings.calibration_folder / f"{found.model.space_id}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f".{file.name}.new")
    new.write_bytes(msgspec.json.format(msgspec.json.encode(found.model)) + b"\n")
    new.replace(file)
    for reason in found.skipped[:20]:
        messages.print(f"[yellow]skipped[/] {escape(reason)}", soft_wrap=True)
    if json:
        console.out(msgspec.json.encode(found).decode(), highlight=False)
    else:
        for name, view in _tables(found):
            console.print(f"[bold]{escape(name)}[/]")
            console.print(view)
        low, high = found.calibration_interval
        console.print(
            f"{found.images:,} images, {found.tags:,} tags, {found.right:,} of them right; expected calibration"
            f" error {found.calibration_error:.3f} ({low:.3f} to {high:.3f}); minimum confidence"
            f" {found.model.threshold:.2f}"
        )
    messages.print(f"Model: {escape(str(file))}", soft_wrap=True)


def _calibrated(
    sources: list[Path], roots: list[Path], settings: Settings, precision: float, threshold: float | None,
    limit: int | None,
) -> Calibration:  # fmt: skip
    from tasks.evaluation.manifest import read  # noqa: PLC0415 -- keeps the command line quick
    from workers.embedded.caption_access import captions_of  # noqa: PLC0415 -- as above
    from workers.evaluation.calibrating import calibrated  # noqa: PLC0415 -- as above
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

    sets = [read(source, roots[at] if roots else None) for at, source in enumerate(sources)]
    prepare_captions(settings)
    wiring = Wiring(settings)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with captions_of(wiring) as index, Progress(*columns, console=messages, transient=True) as progress:
        bar = progress.add_task("loading models", total=None)
        return calibrated(
            wiring, index, sets, precision=precision, threshold=threshold, limit=limit,
            on_progress=lambda name, done, total: progress.update(
                bar, description=escape(name), completed=done, total=total
            ),
        )  # fmt: skip


def _tables(found: Calibration) -> list[tuple[str, Table]]:
    views = []
    for name, levels in found.sets.items():
        view = Table(box=None, pad_edge=False)
        for column in ("minimum confidence", "tags shown", "right", "±", "images with a right one", "first right"):
            view.add_column(column, justify="right")
        for level in levels:
            values = (level.right, level.spread, level.with_right, level.first_right)
            view.add_row(f"{level.confidence:.2f}", f"{level.tags_shown:.2f}", *[f"{value:.3f}" for value in values])
        views.append((name, view))
    return views


def add_to(app: typer.Typer) -> None:
    """Register this module's commands."""
    app.command(rich_help_panel=TAG)(calibrate)
