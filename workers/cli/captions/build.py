"""``captions import``: files to a version of a caption database."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from vectordb.errors import Transient
from workers.cli.show import console, messages
from workers.settings.settings import Settings

if TYPE_CHECKING:
    from vectordb.building import Prepare
    from vectordb.library import Manifest
    from workers.captions.importing import Import
    from workers.wiring.wiring import Wiring

FAULTY = 2  # the exit status when a source could not be read, or not to its end


def import_(
    paths: Annotated[list[str], typer.Argument(help="Caption files or folders; - is standard input.")],
    name: Annotated[str, typer.Option(help="What the database is called.")],
    format_: Annotated[str | None, typer.Option("--format", help="Of the files, where they do not tell.")] = None,
    column: Annotated[str | None, typer.Option(help="Which column or field holds the captions.")] = None,
    version: Annotated[str | None, typer.Option(help="In place of the one that follows from the files.")] = None,
    extract: Annotated[bool, typer.Option("--extract", help="Also find each caption's candidates now.")] = False,
    vectors: Annotated[bool, typer.Option(help="Take the vectors that the files have, or encode anew.")] = True,
    workers: Annotated[int, typer.Option(min=1, help="Processes that encode on this machine.")] = 1,
    queue: Annotated[bool, typer.Option("--queue", help="Encode by the workers of the queue ingestion.")] = False,
    resume: Annotated[bool, typer.Option(" /--no-resume", help="Throw away what an interrupted import did.")] = True,
    use: Annotated[bool, typer.Option("--use", help="Tag new images with it as soon as it is there.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print what was built as JSON.")] = False,
) -> None:
    """Bring captions: plain text, CSV, TSV, JSON lines, COCO, Parquet, WebDataset, WordNet, or vectors ready-made.

    An import that was interrupted goes on where it was when it is started again. Exit status 2: a file could not be
    read to its end; what was read before is there.
    """
    from vectordb.building import NoCaptions  # noqa: PLC0415 -- keeps the command line quick
    from vectordb.index import UnusableVectors, WrongDimension  # noqa: PLC0415 -- as above
    from vectordb.library import VersionExists  # noqa: PLC0415 -- as above
    from vectordb.readers import BadSource, source_of  # noqa: PLC0415 -- as above
    from workers.captions.importing import Import  # noqa: PLC0415 -- as above
    from workers.captions.versions import switch  # noqa: PLC0415 -- as above
    from workers.embedded.stack import running  # noqa: PLC0415 -- as above
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

    if queue and workers > 1:
        raise typer.BadParameter("--queue and --workers exclude each other")
    settings = Settings()
    wiring = Wiring(running(settings) or settings)
    try:
        source = source_of(paths, format=format_, column=column)
        what = Import(source, name, parse=extract, version=version, vectors=vectors)
        made = wiring.library.find(wiring.space.id, what.captions_version)
        if made is not None and (not resume or made.source != what.identity):
            raise VersionExists(f"there is a version {made.captions_version} already; drop it first")
        if made is None:  # else the same files, read the same way: nothing is to be done
            made = _built(wiring, what, workers, queue=queue, resume=resume)
    except (BadSource, NoCaptions, UnusableVectors, WrongDimension) as exc:
        messages.print(f"[red]wildtag: {escape(str(exc))}[/]", soft_wrap=True)
        raise typer.Exit(FAULTY) from None
    except KeyboardInterrupt:
        messages.print("Interrupted; the same command goes on where it was.")
        raise typer.Exit(130) from None
    if json:
        console.out(msgspec.json.encode({"manifest": made}).decode(), highlight=False)
    else:
        console.print(
            f"[bold]{escape(made.captions_version)}[/]: {made.count:,} captions of {made.read:,} read;"
            f" {made.duplicate:,} had come before, {made.empty:,} were empty"
        )
    if made.fault:
        messages.print(f"[red]wildtag: {escape(made.fault)}[/]", soft_wrap=True)
        messages.print("What was read before it is kept.")
        raise typer.Exit(FAULTY)
    if use:
        now = switch(wiring.library, wiring.space.id, made.captions_version, settings.captions)
        messages.print(f"In use: {escape(now)}")
    elif not json:
        messages.print(f"To tag with it: wildtag captions use {escape(made.captions_version)}", highlight=False)


def _built(wiring: Wiring, what: Import, workers: int, *, queue: bool, resume: bool) -> Manifest:
    from vectordb.building import Hooks  # noqa: PLC0415 -- keeps the command line quick
    from vectordb.journal import Progress as Told  # noqa: PLC0415 -- as above
    from workers.captions.encoding_backends import on_the_queue  # noqa: PLC0415 -- as above
    from workers.captions.importing import local, run  # noqa: PLC0415 -- as above
    from workers.wiring.models import text_encoder_loader  # noqa: PLC0415 -- as above

    space_id = wiring.space.id
    with _bar() as progress:
        bar = progress.add_task("reading", total=what.source.size() or None, told="")
        began = time.monotonic()
        first: list[int] = []  # how many captions an interrupted import had taken

        def tell(told: Told) -> None:
            first.append(told.count) if not first else None
            rate = (told.count - first[0]) / max(time.monotonic() - began, 0.001)
            progress.update(bar, description="importing", told=f"{told.count:,} captions, {rate:,.0f}/s")

        def wait(fault: Transient) -> None:
            progress.update(bar, description=f"waiting: {escape(str(fault))}")
            time.sleep(2)

        def silent(seconds: int) -> None:
            said = f"no answer for {seconds} s; is there a worker? Start one: wildtag worker ingestion"
            if messages.is_terminal:
                progress.update(bar, description=said)
            elif seconds % 60 == 10:
                messages.print(said)

        prepare: Prepare
        if queue:
            prepare = on_the_queue(wiring.rpc, space_id, parse=what.parse, silent=silent)
        else:
            load, threads = text_encoder_loader(wiring.settings), wiring.settings.threads
            prepare = local(load, workers, space_id, parse=what.parse, threads=threads)
        hooks = Hooks(
            on_progress=tell, wait=wait if not wiring.owned else None,
            graph=lambda: progress.update(bar, description="building the index", total=None),
            consumed=lambda size: progress.update(bar, completed=size),
        )  # fmt: skip
        return run(wiring.library, what, wiring.space, prepare, datetime.now(UTC), hooks, resume=resume)


@contextmanager
def _bar() -> Iterator[Progress]:
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[told]}"),
        TimeRemainingColumn(), console=messages, transient=True,
    ) as progress:  # fmt: skip
        yield progress


def add_to(app: typer.Typer) -> None:
    """Register this module's commands."""
    app.command("import")(import_)
