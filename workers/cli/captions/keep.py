"""``captions list, use, drop, export, snapshot, restore``: manage versions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.filesize import decimal
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table

from vectordb.errors import Transient
from workers.cli.captions.manifest_json import manifest_json
from workers.cli.captions.thresholds import note_missing
from workers.cli.connection import home_settings
from workers.cli.console import console, messages
from workers.cli.first_start import prepare_captions

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]
Version = Annotated[
    str, typer.Argument(metavar="NAME[@VERSION]", help="Caption database; default version: the newest.")
]


def list_(json: Json = False) -> None:
    """List caption databases and their versions, of all vector spaces."""
    from vectordb.index import IndexMissing  # noqa: PLC0415 -- keeps the command line quick
    from workers.captions.versions import chosen  # noqa: PLC0415 -- as above
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

    settings = home_settings()
    wiring = Wiring(settings)
    library, here = wiring.library, wiring.space.id
    view = Table(pad_edge=False)
    for name in ("", "captions", "count", "space", "created", "from"):
        view.add_column(name, justify="right" if name == "count" else "left", no_wrap=name in ("", "captions"))
    in_use = {space: library.active(space) for space in {one.space_id for one in library.manifests()}}
    with suppress(IndexMissing):  # WILDTAG_CAPTIONS names none of these
        in_use[here] = chosen(library, here, settings.captions)
    for manifest in library.manifests():
        active = in_use.get(manifest.space_id) == manifest.captions_version
        if json:
            row = {**manifest_json(manifest), "captions_version": manifest.captions_version, "active": active}
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
        messages.print(f"[dim]vector space of the current encoder: {here}[/]")
    elif not json:
        messages.print(
            "There are no captions yet: `wildtag up` creates the starter captions, `wildtag captions import` others."
        )


def use(name: Version) -> None:
    """Tag new images with this version. Images in progress finish with the version that they started with."""
    from workers.captions.versions import starter, switch  # noqa: PLC0415 -- keeps the command line quick
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

    settings = home_settings()
    if name in ("starter", starter()):  # the starter captions of this installation can be encoded now
        prepare_captions(settings.model_copy(update={"captions": "starter"}))
    wiring = Wiring(settings)
    now = switch(wiring.library, wiring.space.id, name, settings.captions)
    console.print(f"In use: {escape(now)}")
    note_missing(settings, now)


def drop(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME[@VERSION]", help="Version to remove; @VERSION may be omitted if there is only one."
        ),
    ],
    space: Annotated[str | None, typer.Option(help="Vector space, if not that of the current encoder.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Delete a version permanently, or the remains of an interrupted import."""
    from workers.captions.versions import only  # noqa: PLC0415 -- keeps the command line quick
    from workers.embedded.caption_access import taken_over  # noqa: PLC0415 -- as above
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

    settings = home_settings()
    wiring = Wiring(settings)
    space_id = space or wiring.space.id
    version = only(wiring.library, space_id, name)
    if not yes:
        typer.confirm(f"Delete {version} permanently?", abort=True)
    taken_over(settings, version, lambda: wiring.library.drop(space_id, version))
    with suppress(Transient):  # without Redis: the list of skipped captions is short
        wiring.skipped_captions.forget(space_id, version)
    console.print(f"Removed {escape(version)}")


def export(
    name: Version,
    to: Annotated[
        Path | None, typer.Option(help="File to write: .txt, .jsonl or .parquet; default: text to standard output.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="Only captions taught by this source.")] = None,
) -> None:
    """Export captions: as text, as JSON lines with their payload, or as Parquet with their vectors."""
    from vectordb.export import exporter  # noqa: PLC0415 -- keeps the command line quick
    from workers.embedded.caption_access import open_captions  # noqa: PLC0415 -- as above

    if to is not None:
        _writable(to)
    with open_captions(home_settings(), name) as captions, exporter(to, captions.index.dimension) as write:
        count = 0
        for page, vectors in captions.index.pages(source):
            write(page, vectors)
            count += len(page)
    if to is not None:
        messages.print(
            f"{count:,} captions of {captions.captions_version} written to {to}", markup=False, highlight=False
        )


def snapshot(name: Version, file: Annotated[Path, typer.Argument(help="Snapshot file to write.")]) -> None:
    """Save a version to one file, compressed with zstd: as a backup, or to move it to another machine or server."""
    from vectordb.index import IndexMissing  # noqa: PLC0415 -- keeps the command line quick
    from vectordb.snapshot import write  # noqa: PLC0415 -- as above
    from workers.embedded.caption_access import open_captions  # noqa: PLC0415 -- as above
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

    _writable(file)
    settings = home_settings()
    with (
        open_captions(settings, name) as here,
        _bar("saving") as (progress, bar),
    ):  # a running stack keeps working
        wiring = Wiring(settings)
        manifest = wiring.library.find(wiring.space.id, here.captions_version)
        if manifest is None:
            raise IndexMissing(
                f"there is no version {here.captions_version}; `wildtag captions list` shows all versions"
            )
        progress.update(bar, total=manifest.count)
        write(file, manifest, here.index, lambda count: progress.update(bar, completed=count))
    console.print(f"Saved {escape(here.captions_version)} to {escape(str(file))} ({decimal(file.stat().st_size)})")


def restore(
    file: Annotated[Path, typer.Argument(help="Snapshot file, from a home or a Qdrant server.")],
) -> None:
    """Restore a version from a snapshot and build its index. To tag with it, run `wildtag captions use`."""
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- keeps the command line quick

    wiring = Wiring(home_settings())
    with _bar("restoring") as (progress, bar):
        manifest = wiring.library.restore(file, lambda count: progress.update(bar, completed=count))
    console.print(f"Restored {escape(manifest.captions_version)}: {manifest.count:,} captions")
    if manifest.space_id != wiring.space.id:
        messages.print(
            f"[yellow]Its vector space is {manifest.space_id}; the current encoder uses {wiring.space.id}.[/]"
        )


@contextmanager
def _bar(description: str) -> Iterator[tuple[Progress, TaskID]]:
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,.0f} captions")
    with Progress(*columns, console=messages, transient=True) as progress:
        yield progress, progress.add_task(description, total=None)


def _writable(file: Path) -> None:
    if file.is_dir() or not file.absolute().parent.is_dir():
        raise typer.BadParameter(f"cannot write {file}: name a file in an existing folder")


def add_to(app: typer.Typer) -> None:
    """Register this module's commands."""
    app.command("list")(list_)
    for command in (use, drop, export, snapshot, restore):
        app.command()(command)
