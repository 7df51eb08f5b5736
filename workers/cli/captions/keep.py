"""``captions list, use, drop, export, snapshot, restore``: the versions that there are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.filesize import decimal
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table

from workers.cli.first_start import prepare_captions
from workers.cli.show import console, messages
from workers.settings.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Version = Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="Its newest version where none is given.")]


def list_(json: Json = False) -> None:
    """The caption databases and their versions, of all spaces."""
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- keeps the command line quick

    wiring = Wiring(Settings())
    library, here = wiring.library, wiring.space.id
    view = Table(pad_edge=False)
    for name in ("", "captions", "count", "space", "created", "from"):
        view.add_column(name, justify="right" if name == "count" else "left", no_wrap=name in ("", "captions"))
    for manifest in library.manifests():
        active = library.active(manifest.space_id) == manifest.captions_version
        if json:
            row = {**msgspec.to_builtins(manifest), "captions_version": manifest.captions_version, "active": active}
            console.out(msgspec.json.encode(row).decode(), highlight=False)
            continue
        style = "" if manifest.space_id == here else "dim"
        view.add_row(
            "[green]in use[/]" if active else "", escape(manifest.captions_version), f"{manifest.count:,}",
            manifest.space_id, manifest.created[:10], escape(manifest.origin), style=style,
        )  # fmt: skip
    for space, version in library.unfinished():
        if not json:
            view.add_row("[yellow]unfinished[/]", escape(version), "", space, "", "", style="dim")
    if view.row_count:
        console.print(view)
        messages.print(f"[dim]space of the encoder in force: {here}[/]")
    elif not json:
        messages.print("There are none yet: wildtag up makes the starter captions, wildtag captions import others.")


def use(name: Version) -> None:
    """Tag new images with these captions. Images on their way finish with those they began with."""
    from workers.captions.versions import starter, switch  # noqa: PLC0415 -- keeps the command line quick
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

    settings = Settings()
    if name in ("starter", starter()):  # those of this installation can be made here and now
        prepare_captions(settings.model_copy(update={"captions": "starter"}))
    wiring = Wiring(settings)
    console.print(f"In use: {escape(switch(wiring.library, wiring.space.id, name, settings.captions))}")


def drop(
    name: Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="Its only version where none is given.")],
    space: Annotated[str | None, typer.Option(help="Of another encoder's space.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove a version for good; also an import that was interrupted."""
    from workers.captions.versions import only  # noqa: PLC0415 -- keeps the command line quick
    from workers.embedded.caption_access import taken_over  # noqa: PLC0415 -- as above
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

    settings = Settings()
    wiring = Wiring(settings)
    space_id = space or wiring.space.id
    version = only(wiring.library, space_id, name)
    if not yes:
        typer.confirm(f"Remove {version} for good?", abort=True)
    taken_over(settings, version, lambda: wiring.library.drop(space_id, version))
    console.print(f"Removed {escape(version)}")


def export(
    name: Version,
    to: Annotated[Path | None, typer.Option(help="A .txt, .jsonl or .parquet file; else lines of text here.")] = None,
    source: Annotated[str | None, typer.Option(help="Only captions that this source taught.")] = None,
) -> None:
    """Write captions out: as text, as JSON lines with what is kept beside them, or as Parquet with their vectors."""
    from vectordb.export import exporter  # noqa: PLC0415 -- keeps the command line quick
    from workers.embedded.caption_access import open_captions  # noqa: PLC0415 -- as above

    if to is not None:
        _writable(to)
    with open_captions(Settings(), name) as captions, exporter(to, captions.index.dimension) as write:
        count = 0
        for page, vectors in captions.index.pages(source):
            write(page, vectors)
            count += len(page)
    if to is not None:
        messages.print(f"{count:,} captions of {captions.captions_version} in {to}", markup=False, highlight=False)


def snapshot(name: Version, file: Annotated[Path, typer.Argument(help="The file to write.")]) -> None:
    """Save a version to one file, packed by zstd: a backup, or to move it to another machine, or to a server."""
    from vectordb.index import IndexMissing  # noqa: PLC0415 -- keeps the command line quick
    from vectordb.snapshot import write  # noqa: PLC0415 -- as above
    from workers.embedded.caption_access import open_captions  # noqa: PLC0415 -- as above
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

    _writable(file)
    settings = Settings()
    with (
        open_captions(settings, name) as here,
        _bar("saving") as (progress, bar),
    ):  # a running stack goes on with its work
        wiring = Wiring(settings)
        manifest = wiring.library.find(wiring.space.id, here.captions_version)
        if manifest is None:
            raise IndexMissing(f"there are no captions {here.captions_version}")
        progress.update(bar, total=manifest.count)
        write(file, manifest, here.index, lambda count: progress.update(bar, completed=count))
    console.print(f"{escape(here.captions_version)} is in {escape(str(file))} ({decimal(file.stat().st_size)})")


def restore(
    file: Annotated[Path, typer.Argument(help="A snapshot file, of this or an earlier version, from either home.")],
) -> None:
    """Take in a version that was saved, and build its index. It is not in use until you say so."""
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- keeps the command line quick

    wiring = Wiring(Settings())
    with _bar("restoring") as (progress, bar):
        manifest = wiring.library.restore(file, lambda count: progress.update(bar, completed=count))
    console.print(f"Restored {escape(manifest.captions_version)}: {manifest.count:,} captions")
    if manifest.space_id != wiring.space.id:
        messages.print(
            f"[yellow]It is for the space {manifest.space_id}; the encoder in force makes {wiring.space.id}.[/]"
        )


@contextmanager
def _bar(description: str) -> Iterator[tuple[Progress, TaskID]]:
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,.0f} captions")
    with Progress(*columns, console=messages, transient=True) as progress:
        yield progress, progress.add_task(description, total=None)


def _writable(file: Path) -> None:
    if file.is_dir() or not file.absolute().parent.is_dir():
        raise typer.BadParameter(f"{file} cannot be written: it must be a file in a folder that exists")


def add_to(app: typer.Typer) -> None:
    """Register this module's commands."""
    app.command("list")(list_)
    for command in (use, drop, export, snapshot, restore):
        app.command()(command)
