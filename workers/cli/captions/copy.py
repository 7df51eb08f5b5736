"""``captions copy``: copy a version of captions between Qdrant servers and homes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from workers.cli.connection import home_settings
from workers.cli.console import console, messages

if TYPE_CHECKING:
    from vectordb.library import Manifest
    from workers.embedded.caption_copying import Report, Side

Version = Annotated[
    str, typer.Argument(metavar="NAME[@VERSION]", help="Caption database; default version: the newest.")
]
PLACE = (
    "the URL of a Qdrant server, `embedded` for this home, or the folder of another home. Default: where this"
    " home keeps its captions (WILDTAG_QDRANT_URL)."
)


def copy(
    name: Version,
    to: Annotated[str | None, typer.Option("--to", metavar="PLACE", help=f"Target: {PLACE}")] = None,
    source: Annotated[str | None, typer.Option("--from", metavar="PLACE", help="Source, in the same form.")] = None,
    space: Annotated[str | None, typer.Option(help="Vector space, if not that of the current encoder.")] = None,
    taught: Annotated[
        bool, typer.Option("--taught", help="If the target has the version, copy the captions taught since.")
    ] = False,
    resume: Annotated[
        bool, typer.Option(" /--no-resume", help="Throw away what an interrupted copy did.", show_default=False)
    ] = True,
    json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Copy a version to a Qdrant server, or back, with its vectors and taught captions.

    To resume an interrupted copy, run the same command again. The copy becomes visible once its count and ten
    searches match its source. A version that the target already has is not changed. The servers' API keys come from
    WILDTAG_COPY_FROM_API_KEY and WILDTAG_COPY_TO_API_KEY, or from WILDTAG_QDRANT_API_KEY.
    """
    from workers.embedded.caption_copying import found, sides  # noqa: PLC0415 -- keeps the command line quick
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

    settings = home_settings()
    here, there = sides(settings, source, to)
    manifest = found(here, name, space or Wiring(settings).space.id)
    try:
        report = _copied(here, there, manifest, taught=taught, resume=resume)
    except KeyboardInterrupt:
        messages.print("Interrupted. To resume, run the same command again.")
        raise typer.Exit(130) from None
    if json:
        body = {"captions_version": manifest.captions_version, "space_id": manifest.space_id,
                **msgspec.to_builtins(report)}  # fmt: skip
        console.out(msgspec.json.encode(body).decode(), highlight=False)
        return
    _print_report(report, taught=taught)
    if there.settings.qdrant_url == settings.qdrant_url and there.settings.home == settings.home:
        what = ""
    elif there.settings.qdrant_url:
        what = f"WILDTAG_QDRANT_URL={escape(there.name)} "
    else:
        what = f"WILDTAG_HOME={escape(str(there.settings.home))} "
        what += "WILDTAG_QDRANT_URL= " if settings.qdrant_url else ""
    command = f"{what}wildtag captions use {escape(manifest.captions_version)}"
    messages.print(f"To tag with this version, run: {command}", highlight=False, soft_wrap=True)


def _copied(here: Side, there: Side, manifest: Manifest, *, taught: bool, resume: bool) -> Report:
    from vectordb.copying import Hooks  # noqa: PLC0415 -- keeps the command line quick
    from workers.embedded.caption_copying import Patience, copied  # noqa: PLC0415 -- as above

    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=messages,
        transient=True,
    ) as progress:  # fmt: skip
        bar = progress.add_task("copying", total=manifest.count or None)
        patience = Patience(lambda reason: progress.update(bar, description=f"waiting: {escape(reason)}"))

        def on_progress(count: int) -> None:
            patience.progress()
            progress.update(bar, description="copying", completed=count)

        def step(what: str) -> None:
            patience.progress()
            progress.update(bar, description=what)

        return copied(here, there, manifest, Hooks(on_progress, step, patience), resume=resume, taught=taught)


def _print_report(report: Report, *, taught: bool) -> None:
    version, target, source = map(escape, (report.manifest.captions_version, report.target, report.source))
    if not report.already:
        console.print(
            f"[bold]{version}[/]: {report.count:,} captions in {target}, {report.taught:,} of them taught;"
            f" {report.brought:,} copied now. Count and {report.searches} searches match {source}",
            soft_wrap=True, highlight=False,
        )  # fmt: skip
        return
    console.print(
        f"[bold]{version}[/] exists in {target} with {report.count:,} captions; not copied again",
        soft_wrap=True, highlight=False,
    )  # fmt: skip
    captions = f"{report.taught:,} caption{'' if report.taught == 1 else 's'}"
    if report.taught and taught:
        console.print(f"Copied {captions} taught only to {source}", soft_wrap=True)
    elif report.taught:
        notice = f"Not copied: {captions} taught only to {source}; to copy, pass --taught"
        messages.print(f"[yellow]{notice}[/]", soft_wrap=True)


def add_to(app: typer.Typer) -> None:
    """Register this module's command."""
    app.command()(copy)
