"""``captions import``: build a version of a caption database from files."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from vectordb.errors import Transient
from workers.cli.captions.thresholds import note_missing, table_of
from workers.cli.connection import home_settings, stack_settings
from workers.cli.console import console, messages
from workers.settings.settings import Settings

if TYPE_CHECKING:
    from tasks.encoders.protocols import Space
    from vectordb.building import Prepare
    from vectordb.index import CaptionIndex
    from vectordb.library import Manifest
    from vectordb.readers import ChooseColumn
    from workers.captions.importing import Import
    from workers.wiring.wiring import Wiring

TOLD_S = 30.0  # between two reports of the progress where there is no terminal
_REASONS = {
    "ragged": "another number of fields",
    "undecodable": "not in the encoding of the file",
    "zero_byte": "zero bytes, or not in the encoding of the file",
    "open_quote": "a quote that is not closed",
    "bad_list": "not a list of captions",
    "failed": "their download failed",
    "unusable_vector": "a vector that is zero or not finite",
}
FAULTY = 2  # exit status: a source could not be read completely


def import_(
    paths: Annotated[list[str], typer.Argument(help="Caption files or folders; - for standard input.")],
    name: Annotated[str, typer.Option(help="Name of the caption database.")],
    format_: Annotated[str | None, typer.Option("--format", help="Format of the files; default: detected.")] = None,
    column: Annotated[str | None, typer.Option(help="Column or field that contains the captions.")] = None,
    delimiter: Annotated[
        str | None, typer.Option(help="Delimiter of a table: a character, or tab, comma, semicolon, pipe; detected.")
    ] = None,
    encoding: Annotated[str | None, typer.Option(help="Encoding of text, such as cp1252; default: detected.")] = None,
    version: Annotated[str | None, typer.Option(help="Version; default: derived from the files.")] = None,
    extract: Annotated[bool, typer.Option("--extract", help="Also extract the candidates of each caption.")] = False,
    vectors: Annotated[bool, typer.Option(help="Use vectors contained in the files, or encode again.")] = True,
    workers: Annotated[int, typer.Option(min=1, help="Number of local processes that encode.")] = 1,
    queue: Annotated[bool, typer.Option("--queue", help="Encode on the workers of the queue ingestion.")] = False,
    resume: Annotated[
        bool, typer.Option(" /--no-resume", help="Throw away what an interrupted import did.", show_default=False)
    ] = True,
    use: Annotated[bool, typer.Option("--use", help="Tag new images with this version once it is built.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Import captions: plain text, CSV, TSV, JSON lines, COCO, Parquet, WebDataset, WordNet, or ready-made vectors.

    To resume an interrupted import, run the same command again. Rows that cannot be used are left out, counted and
    named. Exit status 2: a file could not be read completely (the captions before the fault are imported), or nothing
    is imported, because the caption column or the delimiter is in doubt.
    """
    from vectordb.building import NoCaptions  # noqa: PLC0415 -- keeps the command line quick
    from vectordb.index import UnusableVectors, WrongDimension  # noqa: PLC0415 -- as above
    from vectordb.readers import BadSource  # noqa: PLC0415 -- as above
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

    if queue and workers > 1:
        raise typer.BadParameter("use either --queue or --workers, not both")
    settings = home_settings()
    wiring = Wiring(stack_settings() if queue else settings)
    try:
        asked = _Asked(paths, name, format_, column, delimiter, encoding, version, extract=extract, vectors=vectors)
        made = _made(wiring, asked, workers, queue=queue, resume=resume)
    except (BadSource, NoCaptions, UnusableVectors, WrongDimension) as exc:
        messages.print(f"[red]wildtag: {escape(str(exc))}[/]", soft_wrap=True)
        raise typer.Exit(FAULTY) from None
    except KeyboardInterrupt:
        messages.print("Interrupted. To resume, run the same command again.")
        raise typer.Exit(130) from None
    if json:
        console.out(msgspec.json.encode({"manifest": made}).decode(), highlight=False)
    else:
        _print(made, settings, wiring.space)
    warn_of_skipped(made)
    if made.fault:
        messages.print(f"[red]wildtag: {escape(made.fault)}[/]", soft_wrap=True)
        messages.print(
            "What could be read is imported, but not in use. To use it in spite of this, run: wildtag captions use"
            f" {escape(made.captions_version)}",
            soft_wrap=True, highlight=False,
        )  # fmt: skip
        raise typer.Exit(FAULTY)
    if use:
        put_in_use(wiring, made)
    elif not json:
        messages.print(
            f"To tag with this version, run: wildtag captions use {escape(made.captions_version)}", highlight=False
        )


@dataclass(frozen=True)
class _Asked:
    """What the command line asks for."""

    paths: list[str]
    name: str
    format: str | None
    column: str | None
    delimiter: str | None
    encoding: str | None
    version: str | None
    extract: bool
    vectors: bool

    def import_of(self) -> Import:
        """Raises ``BadSource``."""
        from vectordb.readers import source_of  # noqa: PLC0415 -- keeps the command line quick
        from workers.captions.importing import Import  # noqa: PLC0415 -- as above

        source = source_of(
            self.paths, format=self.format, column=self.column, delimiter=self.delimiter, encoding=self.encoding
        )
        return Import(source, self.name, parse=self.extract, version=self.version, vectors=self.vectors)


def _made(wiring: Wiring, asked: _Asked, workers: int, *, queue: bool, resume: bool) -> Manifest:
    """The version: the one that exists, or a new one. At a terminal, asks for the column that is in doubt."""
    from vectordb.library import VersionExists  # noqa: PLC0415 -- keeps the command line quick
    from vectordb.readers import ChooseColumn  # noqa: PLC0415 -- as above

    what = asked.import_of()
    made = wiring.library.find(wiring.space.id, what.captions_version)
    if made is not None and (not resume or made.source != what.identity):
        raise VersionExists(
            f"version {made.captions_version} exists already; to replace it, run `wildtag captions drop` first"
        )
    if made is not None:  # the same import is done already
        return made
    try:
        return _built(wiring, what, workers, queue=queue, resume=resume)
    except ChooseColumn as exc:
        if not (sys.stdin.isatty() and messages.is_terminal) or "-" in asked.paths or not exc.columns:
            raise
        return _made(wiring, replace(asked, column=_chosen(exc)), workers, queue=queue, resume=resume)


def _chosen(doubt: ChooseColumn) -> str:
    """Ask for the column. Returns its number."""
    messages.print(f"{escape(str(doubt.path))}: {escape(doubt.why)}:", soft_wrap=True)
    for number, (_, line) in enumerate(doubt.columns, 1):
        messages.print(f"  {number}  {escape(line)}", soft_wrap=True, highlight=False)
    while True:
        chosen: int = typer.prompt("Number of the column that holds the captions", type=int, err=True)
        if 0 < chosen <= len(doubt.columns):
            return str(chosen)


def put_in_use(wiring: Wiring, made: Manifest) -> None:
    """Tag new images with this version from now on, and say so."""
    from workers.captions.versions import switch  # noqa: PLC0415 -- keeps the command line quick

    now = switch(wiring.library, wiring.space.id, made.captions_version, wiring.settings.captions)
    messages.print(f"In use: {escape(now)}")


def warn_of_skipped(made: Manifest) -> None:
    """Say which rows of the source were left out, if any."""
    if not made.skipped:
        return
    total = sum(made.skipped.values())
    messages.print(f"[yellow]{total:,} {'row was' if total == 1 else 'rows were'} left out:[/]")
    for line in made.skipped_examples:
        messages.print(f"  {escape(line)}", soft_wrap=True, highlight=False)
    if more := total - len(made.skipped_examples):
        messages.print(f"  and {more:,} more")


def _print(made: Manifest, settings: Settings, space: Space) -> None:
    from workers.wiring.captions import thresholds_in_force  # noqa: PLC0415 -- keeps the command line quick

    console.print(
        f"[bold]{escape(made.captions_version)}[/]: {made.count:,} captions imported of {made.read:,} read;"
        f" {made.duplicate:,} duplicates, {made.empty:,} empty"
        + "".join(f", {count:,} left out: {_REASONS.get(reason, reason)}" for reason, count in made.skipped.items())
    )
    if made.thresholds is not None:
        console.print(table_of(thresholds_in_force(settings, space, made)))
    else:  # an earlier version of wildtag imported it, or the encoder has measured ones
        note_missing(settings, made.captions_version)


def _built(wiring: Wiring, what: Import, workers: int, *, queue: bool, resume: bool) -> Manifest:
    from vectordb.building import Hooks  # noqa: PLC0415 -- keeps the command line quick
    from vectordb.journal import Progress as ImportProgress  # noqa: PLC0415 -- as above
    from workers.captions.encoding_backends import on_the_queue  # noqa: PLC0415 -- as above
    from workers.captions.importing import local, run  # noqa: PLC0415 -- as above
    from workers.wiring.captions import deriving  # noqa: PLC0415 -- as above
    from workers.wiring.models import text_encoder_loader  # noqa: PLC0415 -- as above

    space_id = wiring.space.id
    with _bar() as progress:
        bar = progress.add_task("reading", total=what.source.size() or None, rate="")
        began = time.monotonic()
        told = _Told(began)
        first: list[int] = []  # captions that an interrupted import had finished

        def on_progress(done: ImportProgress) -> None:
            first.append(done.count) if not first else None
            rate = (done.count - first[0]) / max(time.monotonic() - began, 0.001)
            shown = f"{done.count:,} captions, {rate:,.0f}/s"
            progress.update(bar, description="importing", rate=shown)
            if not messages.is_terminal and told.due(time.monotonic()):  # a bar is shown at terminals only
                messages.print(f"importing: {shown}", highlight=False)

        def wait(fault: Transient) -> None:
            progress.update(bar, description=f"waiting: {escape(str(fault))}")
            time.sleep(2)

        def silent(seconds: int) -> None:
            notice = f"no answer for {seconds} s; check that a worker runs, or start one: wildtag worker ingestion"
            if messages.is_terminal:
                progress.update(bar, description=notice)
            elif seconds % 60 == 10:
                messages.print(notice)

        load = cache(text_encoder_loader(wiring.settings))
        derive = deriving(wiring.settings, wiring.space, load)

        def derived(index: CaptionIndex) -> dict[str, object] | None:
            progress.update(bar, description="deriving thresholds", total=None)
            return derive(index) if derive else None

        prepare: Prepare
        if queue:
            prepare = on_the_queue(wiring.rpc, space_id, parse=what.parse, silent=silent)
        else:
            threads = wiring.settings.threads
            prepare = local(
                text_encoder_loader(wiring.settings) if workers > 1 else load, workers, space_id, parse=what.parse,
                threads=threads,
            )  # fmt: skip
        hooks = Hooks(
            on_progress=on_progress, wait=wait if not wiring.owned else None,
            graph=lambda: progress.update(bar, description="building the index", total=None),
            consumed=lambda size: progress.update(bar, completed=size), thresholds=derived,
            note=lambda text: messages.print(f"[dim]{escape(text)}[/]", soft_wrap=True, highlight=False),
        )  # fmt: skip
        return run(wiring.library, what, wiring.space, prepare, datetime.now(UTC), hooks, resume=resume)


class _Told:
    """When progress is reported where there is no terminal."""

    def __init__(self, now: float) -> None:
        self._last = now

    def due(self, now: float) -> bool:
        """Whether the last report was long ago; the next one is then counted from now."""
        if now - self._last < TOLD_S:
            return False
        self._last = now
        return True


@contextmanager
def _bar() -> Iterator[Progress]:
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(), console=messages, transient=True,
    ) as progress:  # fmt: skip
        yield progress


def add_to(app: typer.Typer) -> None:
    """Register this module's commands."""
    app.command("import")(import_)
