"""``evaluate``: measure tags and segmentations on labelled images, next to the paper's baselines."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from vectordb.errors import WildtagError
from workers.cli.connection import home_settings
from workers.cli.console import console, messages
from workers.cli.evaluate_segmentation import evaluate_segmentation, source_of
from workers.cli.first_start import prepare_captions
from workers.cli.panels import TAG
from workers.settings.settings import Settings

if TYPE_CHECKING:
    from tasks.evaluation.manifest import Labelled
    from tasks.evaluation.run import Evaluation
    from tasks.evaluation.shown import Curves, ShownFigures

NOT_EVALUATED = 2  # exit status
METHODS = (
    "Method to measure: cased (default), uppercased, closest-caption, vocabulary:FILE, vocabulary:imagenet,"
    " captioner:MODEL or clip-upper-bound. For segmentation: regions (default), dense or prompted. May be repeated."
)
TASK = "What to measure. classification: tags against labels; segmentation: label maps against label maps."
SEGMENTS = "Segmentation:"
SEGMENTATION_METHODS = ("regions", "dense", "prompted")


def evaluate(
    source: Annotated[
        Path, typer.Argument(help="A TSV file (path, label), a folder of class folders, or a folder of label maps.")
    ],
    root: Annotated[
        Path | None, typer.Option(help="Folder that the paths in the TSV file are relative to; default: its own.")
    ] = None,
    method: Annotated[list[str] | None, typer.Option(help=METHODS)] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object with every figure.")] = False,
    limit: Annotated[
        int | None,
        typer.Option("--limit", "--images", min=1, help="Maximum number of images, spread evenly over the set."),
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write an HTML page with every image to this file.")] = None,
    encoder: Annotated[
        str | None, typer.Option(help="bundled, or the name or folder of a CLIP or SigLIP model.")
    ] = None,
    captions: Annotated[str | None, typer.Option(help="Caption database, NAME\\[@VERSION].")] = None,
    k: Annotated[
        int | None, typer.Option("--k", min=1, help="Number of captions to retrieve for each image.")
    ] = None,
    alpha: Annotated[
        float | None, typer.Option(min=0, max=1, help="Weight of the image relative to the captions, 0 to 1.")
    ] = None,
    profile: Annotated[
        Literal["phrases", "paper"] | None, typer.Option(help="How to extract candidates from captions.")
    ] = None,
    test_time_augmentation: Annotated[
        bool | None,
        typer.Option(
            "--test-time-augmentation/--no-test-time-augmentation",
            help="Encode the mirror image of each image as well (bundled encoder only).",
        ),
    ] = None,
    task: Annotated[Literal["classification", "segmentation"], typer.Option(help=TASK)] = "classification",
    baseline: Annotated[
        bool,
        typer.Option("--baseline", help=f"{SEGMENTS} also measure the baselines: top tag, and ImageNet's names."),
    ] = False,
    layout: Annotated[
        Literal["voc", "context", "ade20k", "plain"] | None,
        typer.Option(help=f"{SEGMENTS} layout of the folder; default: detected."),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help=f"{SEGMENTS} split to measure; default: val, if the folder has splits.")
    ] = None,
    compositions: Annotated[
        int | None, typer.Option(min=1, help=f"{SEGMENTS} number of images to compose from the cut-outs in the TSV.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help=f"{SEGMENTS} random seed of the compositions; default: 0.")] = None,
    keep: Annotated[
        Path | None, typer.Option(help=f"{SEGMENTS} new or empty folder to save the compositions in.")
    ] = None,
    proposals: Annotated[
        str | None,
        typer.Option(help=f"{SEGMENTS} superpixels, cells, or a Segment Anything model; default: WILDTAG_PROPOSALS."),
    ] = None,
    clipseg: Annotated[str | None, typer.Option(help=f"{SEGMENTS} the CLIPSeg model of the method prompted.")] = None,
) -> None:
    """Measure tags or segmentations on labelled images. Options that are not given come from the settings."""
    given: dict[str, Any] = {
        "encoder": encoder, "captions": captions, "retrieval_limit": k, "alpha": alpha, "profile": profile,
        "test_time_augmentation": test_time_augmentation, "proposals": proposals, "clipseg_model": clipseg,
    }  # fmt: skip
    settings = home_settings(Settings(**{name: value for name, value in given.items() if value is not None}))
    segments = {
        "baseline": baseline or None, "layout": layout, "split": split, "compositions": compositions,
        "seed": seed, "keep": keep, "proposals": proposals, "clipseg": clipseg,
    }  # fmt: skip
    _only_for(task, {"report": report}, segments)
    for name in method or () if task == "classification" else ():
        if name in SEGMENTATION_METHODS:
            raise typer.BadParameter(f"the method {name} applies only to --task segmentation")
    try:
        if task == "segmentation":
            pictures = source_of(source, root, layout, split, compositions, seed, keep)
            with _progress() as progress:
                evaluate_segmentation(
                    pictures, _segmentation_methods(method), settings, progress, images=limit,
                    baseline=baseline, json=json,
                )  # fmt: skip
        else:
            _evaluate(source, root, list(dict.fromkeys(method or ["cased"])), settings, limit, report, json=json)
    except WildtagError as exc:
        messages.print(f"[red]wildtag: {escape(str(exc))}[/]", soft_wrap=True)
        raise typer.Exit(NOT_EVALUATED) from None


def _segmentation_methods(names: list[str] | None) -> list[str]:
    """The requested methods without duplicates. Raises ``typer.BadParameter`` for an unknown one."""
    for name in names or ():
        if name not in SEGMENTATION_METHODS:
            known = ", ".join(SEGMENTATION_METHODS)
            raise typer.BadParameter(f"unknown segmentation method {name!r}; available methods: {known}")
    return list(dict.fromkeys(names or SEGMENTATION_METHODS[:1]))


def _only_for(task: str, classifies: dict[str, Any], segments: dict[str, Any]) -> None:
    """Raises ``typer.BadParameter`` for an option of the other task."""
    wrong, other = (segments, "segmentation") if task == "classification" else (classifies, "classification")
    for name, value in wrong.items():
        if value is not None:
            raise typer.BadParameter(f"--{name} applies only to --task {other}")


def _evaluate(
    source: Path, root: Path | None, names: list[str], settings: Settings, limit: int | None, report: Path | None,
    *, json: bool,
) -> None:  # fmt: skip
    from tasks.evaluation.manifest import read  # noqa: PLC0415 -- keeps the command line quick
    from tasks.evaluation.methods import check  # noqa: PLC0415 -- as above

    for name in names:
        check(name)
    if report is not None and (report.is_dir() or not report.absolute().parent.is_dir()):
        raise typer.BadParameter(f"cannot write {report}: name a file in an existing folder")
    labelled = read(source, root)
    evaluation, conditions = _measured(labelled, names, settings, limit)
    shown, curves = _shown(evaluation, settings.cache_folder)
    skipped = (*labelled.skipped, *evaluation.skipped)
    for one in skipped[:20]:
        messages.print(f"[yellow]skipped[/] {escape(str(one))}", soft_wrap=True)
    if len(skipped) > 20:
        messages.print(f"[yellow]skipped[/] and {len(skipped) - 20:,} more", soft_wrap=True)
    evaluation = replace(evaluation, skipped=skipped)
    if json:
        body = {
            "set": {
                "source": str(source), "images": len(evaluation.pictures), "labels": len(labelled.labels),
                "skipped": len(skipped), "skipped_because": [str(one) for one in skipped],
            },
            "results": evaluation.results,
            "shown": shown,
            "conditions": conditions,
        }  # fmt: skip
        console.out(msgspec.json.encode(body).decode(), highlight=False)
    else:
        console.print(_table(evaluation))
        console.print(_shown_table(shown))
        summary = (
            f"{_count(len(evaluation.pictures), 'image')}, {_count(len(labelled.labels), 'label')},"
            f" {len(skipped):,} skipped;"
            f" space {conditions['space']['id']}, captions {conditions['captions_version']}"
        )
        console.print(f"[dim]{escape(summary)}[/]")
    if report is not None:
        _write(report, evaluation, curves, source, conditions, settings)
        messages.print(f"Report: {escape(str(report))}", soft_wrap=True)


def _measured(
    labelled: Labelled, names: Sequence[str], settings: Settings, limit: int | None
) -> tuple[Evaluation, dict[str, Any]]:
    from tasks.evaluation.methods import make  # noqa: PLC0415 -- keeps the command line quick
    from tasks.evaluation.run import evaluate as run  # noqa: PLC0415 -- as above
    from workers.embedded.caption_access import captions_of  # noqa: PLC0415 -- as above
    from workers.evaluation.adapters import answering, judge, source_of, tools_of  # noqa: PLC0415 -- as above
    from workers.evaluation.conditions import conditions  # noqa: PLC0415 -- as above
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

    prepare_captions(settings)
    wiring = Wiring(settings)
    with captions_of(wiring) as index, _progress() as progress:
        bar = progress.add_task("loading models", total=None)

        def encoded(name: str, done: int, total: int) -> None:
            progress.update(bar, description=escape(f"encoding {name}"), completed=done, total=total)

        def tried(done: int, total: int) -> None:
            progress.update(bar, description="evaluating", completed=done, total=total)

        tools = tools_of(wiring, index, labelled.labels, encoded)
        methods = [make(name, tools) for name in names]
        items = labelled.spread(limit)
        judging = judge(settings.cache_folder)
        evaluation = run(items, source_of(wiring), methods, judging, clock=time.perf_counter, on_progress=tried)
        return evaluation, conditions(settings, wiring.space, wiring.revision, answering(wiring))


def _shown(evaluation: Evaluation, cache_dir: Path) -> tuple[list[ShownFigures], dict[str, Curves]]:
    """The figures of the shown tags per method and subject, and the curves of each method."""
    from tasks.evaluation.acceptance import Acceptance  # noqa: PLC0415 -- keeps the command line quick
    from tasks.evaluation.shown import shown_figures  # noqa: PLC0415 -- as above
    from workers.evaluation.adapters import sentences  # noqa: PLC0415 -- as above

    acceptance = Acceptance(sentences(cache_dir))
    figures: list[ShownFigures] = []
    curves = {}
    items = [one.item for one in evaluation.pictures]
    for at, result in enumerate(evaluation.results):
        answers = [one.answers[at] for one in evaluation.pictures]
        found, curves[result.method] = shown_figures(result.method, items, answers, acceptance)
        figures += found
    return figures, curves


@contextmanager
def _progress() -> Iterator[Progress]:
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=messages, transient=True,
    ) as progress:  # fmt: skip
        yield progress


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _table(evaluation: Evaluation) -> Table:
    from workers.evaluation.report import FIGURES  # noqa: PLC0415 -- keeps the command line quick

    # to fit the names into 80 columns: no lines between columns, and no column that is 0 throughout
    view = Table(box=None, pad_edge=False)
    view.add_column("method", style="bold", overflow="fold")
    answered = not any(result.unknown for result in evaluation.results)
    figures = {name: figure for name, figure in FIGURES.items() if not (answered and name == "unknown")}
    for name in figures:
        view.add_column(name, justify="right", no_wrap=True)
    for result in evaluation.results:
        view.add_row(escape(result.method), *[figure(result) for figure in figures.values()])
    return view


def _shown_table(figures: Sequence[ShownFigures]) -> Table:
    from workers.evaluation.report import SHOWN_FIGURES  # noqa: PLC0415 -- keeps the command line quick

    view = Table(box=None, pad_edge=False)
    view.add_column("shown tags", style="bold", overflow="fold")
    for name in SHOWN_FIGURES:
        view.add_column(name, justify="right", no_wrap=True)
    for one in figures:
        name = f"{one.method}: {one.subject}" if one.subject else one.method
        view.add_row(escape(name), *[figure(one) for figure in SHOWN_FIGURES.values()])
    return view


def _write(
    report: Path,
    evaluation: Evaluation,
    curves: dict[str, Curves],
    source: Path,
    conditions: dict[str, Any],
    settings: Settings,
) -> None:
    from workers.evaluation.report import page  # noqa: PLC0415 -- keeps the command line quick
    from workers.stores.folder_files import read_file  # noqa: PLC0415 -- as above
    from workers.wiring.models import decoders  # noqa: PLC0415 -- as above

    def data(path: Path) -> bytes:
        return read_file(path, settings.max_object_bytes)[0]

    with report.open("w", encoding="utf-8") as out:
        title = f"wildtag: evaluation of {source.name}"
        out.writelines(page(evaluation, title, conditions, data, curves, decoders(settings)))


def add_to(app: typer.Typer) -> None:
    """Register this module's commands."""
    app.command(rich_help_panel=TAG)(evaluate)
