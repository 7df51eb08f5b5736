"""``backup``, ``restore`` and ``backups …``: save everything that the bucket does not have, and get it back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.filesize import decimal
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from workers.cli.console import clean, console, messages
from workers.cli.panels import OPERATE
from workers.settings.settings import Settings

if TYPE_CHECKING:
    from workers.backup.form import Manifest
    from workers.backup.stored_backups import Catalogue
    from workers.backup.writing import Progress as Hooks

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Where = Annotated[
    str, typer.Argument(metavar="PLACE", help="A folder, or s3://BUCKET/PREFIX. One place for each stack.")
]
From = Annotated[
    str,
    typer.Argument(metavar="FROM", help="A folder or s3://BUCKET/PREFIX, then its newest backup, or PLACE/BACKUP."),
]
Endpoint = Annotated[
    str | None, typer.Option(help="URL of the S3 server of the backups. Default: WILDTAG_S3_ENDPOINT.")
]
Credentials = Annotated[
    Path | None,
    typer.Option(
        help="File with the key pair for that server, as WILDTAG_S3_CREDENTIALS_FILE. Default: the settings."
    ),
]

backups = typer.Typer(no_args_is_help=True, help="List and verify backups.")


def backup(
    to: Where,
    keep: Annotated[
        int | None, typer.Option(min=1, help="Afterwards, remove all but this many backups of this stack.")
    ] = None,
    captions: Annotated[
        bool, typer.Option(" /--without-captions", help="Leave the caption databases out.", show_default=False)
    ] = True,
    images_index: Annotated[
        bool,
        typer.Option(
            " /--without-images-index",
            help="Leave the index of images out: it is embedded again.",
            show_default=False,
        ),
    ] = True,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Remove a backup that was interrupted, instead of continuing it.")
    ] = False,
    endpoint: Endpoint = None,
    credentials: Credentials = None,
    json: Json = False,
) -> None:
    """Save records, keys, batches, captions and what people said. The stack may run meanwhile.

    The images stay in their bucket. A backup that was interrupted is continued by the same command: records and
    keys are read again, and captions and images that are as they were written are kept.
    """
    from workers.embedded.backup_access import place_of  # noqa: PLC0415 -- keeps the command line quick
    from workers.embedded.backup_writing import backed_up  # noqa: PLC0415 -- as above

    settings = Settings()
    place = place_of(settings, to, endpoint, credentials)
    with _bars() as hooks:
        done = backed_up(settings, place, hooks, keep=keep, captions=captions, images=images_index, fresh=fresh)
    m = done.manifest
    if json:
        rows = {
            "place": place.name, "removed": [*done.torn, *done.old], "spared": done.spared, "files_kept": done.kept,
        }  # fmt: skip
        console.out(msgspec.json.encode({**_row(m), **rows}).decode(), highlight=False)
    else:
        console.print(f"Saved {m.id} to {escape(place.name)} ({decimal(m.size)}): {_summary(m)}", soft_wrap=True)
        if m.first_began is not None:
            messages.print(
                f"Continued: it was begun {m.first_began}, {done.kept} files were kept, and its keys are those of"
                f" {m.began}", soft_wrap=True,
            )  # fmt: skip
        if done.torn:
            messages.print(f"Removed backups that were not finished: {', '.join(done.torn)}", soft_wrap=True)
        if done.old:
            messages.print(f"Removed old backups: {', '.join(done.old)}", soft_wrap=True)
        if done.spared:
            messages.print(
                "[yellow]Not removed, since this one has less than half of their records:[/]"
                f" {', '.join(done.spared)}. Remove them by hand if that is right.", soft_wrap=True,
            )  # fmt: skip
    if done.unknown:
        messages.print(
            f"[yellow]Not saved, since wildtag does not know these keys:[/] {clean(', '.join(done.unknown))}"
        )


def restore(
    source: From,
    replace: Annotated[
        bool, typer.Option("--replace", help="Remove what is under the key prefix and in the index first.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    images_index: Annotated[
        bool,
        typer.Option(
            " /--without-images-index", help="Leave the index of images: it is embedded again.", show_default=False
        ),
    ] = True,
    endpoint: Endpoint = None,
    credentials: Credentials = None,
    json: Json = False,
) -> None:
    """Restore a backup into an empty home or key prefix. Stop all processes of wildtag first.

    An interrupted restore continues when the command runs again. Exit status 1: something is missing afterwards.
    """
    from workers.embedded.backup_restoring import restored  # noqa: PLC0415 -- keeps the command line quick

    settings = Settings()
    catalogue, name = _catalogue(settings, source, endpoint, credentials)
    manifest = catalogue.named(name)
    messages.print(f"Restoring {manifest.id}, {decimal(manifest.size)}: {_summary(manifest)}", soft_wrap=True)
    if replace and not yes:
        typer.confirm(f"Remove everything of wildtag under {settings.key_prefix!r} first?", abort=True)
    with _bars() as hooks:
        done = restored(settings, catalogue.place, manifest, hooks, replace=replace, images=images_index)
    if json:
        body = {
            **_row(manifest), "restored": done.counts, "finished_meanwhile": done.finished_meanwhile,
            "differences": done.differences,
        }  # fmt: skip
        console.out(msgspec.json.encode(body).decode(), highlight=False)
    else:
        console.print(
            f"Restored {manifest.id}: the counts match" if not done.differences else "[red]Restored in part[/]"
        )
        for difference in done.differences:
            console.print(f"  {clean(difference)}", soft_wrap=True)
        if settings.s3_endpoint is None:
            messages.print(
                f"No images are in a backup: put them into {escape(str(settings.inbox_folder))} with their times"
                " (cp -a) before you start wildtag, or their removal is held.",
                soft_wrap=True,
            )
        messages.print("Start wildtag: it compares the bucket with the records, and tags what has changed since.")
    if done.differences:
        raise typer.Exit(1)


@backups.command("list")
def list_(place: Where, endpoint: Endpoint = None, credentials: Credentials = None, json: Json = False) -> None:
    """List the backups of a place, oldest first."""
    catalogue, _ = _catalogue(Settings(), place, endpoint, credentials, whole=True)
    view = Table(pad_edge=False)
    for name in ("backup", "size", "records", "captions", "images", "layout", "bucket"):
        view.add_column(name, justify="right" if name in ("size", "records", "captions", "images") else "left")
    found = list(catalogue.whole())
    for m in found:
        if json:
            console.out(msgspec.json.encode(_row(m)).decode(), highlight=False)
        images = "-" if m.images is None else f"{m.images.images:,}"
        captions = f"{sum(one.captions for one in m.captions):,}" if m.captions_saved else "-"
        view.add_row(
            m.id,
            decimal(m.size),
            f"{m.counts['records']:,}",
            captions,
            images,
            str(m.layout_version),
            escape(m.bucket),
        )
    torn = sorted(set(catalogue.ids()) - {m.id for m in found})
    if not json:
        if found:
            console.print(view)
        else:
            messages.print(f"There is no backup in {escape(catalogue.place.name)}.")
    if torn:
        messages.print(f"[yellow]Not finished, or damaged:[/] {', '.join(torn)}", soft_wrap=True)


@backups.command()
def verify(source: From, endpoint: Endpoint = None, credentials: Credentials = None, json: Json = False) -> None:
    """Read a backup and compare all checksums. Exit status 1: it is damaged."""
    catalogue, name = _catalogue(Settings(), source, endpoint, credentials)
    manifest = catalogue.named(name)
    with _bars() as hooks:
        hooks.step("verifying", manifest.size)
        faults = catalogue.verify(manifest, hooks.done)
    if json:
        console.out(msgspec.json.encode({**_row(manifest), "faults": faults}).decode(), highlight=False)
    for fault in faults:
        messages.print(f"[red]{clean(fault)}[/]", soft_wrap=True)
    if faults:
        raise typer.Exit(1)
    if not json:
        console.print(
            f"{manifest.id}: {len(manifest.files):,} files, {decimal(manifest.size)}, all as they were written"
        )


def _catalogue(
    settings: Settings, source: str, endpoint: str | None, credentials: Path | None, *, whole: bool = False
) -> tuple[Catalogue, str | None]:
    """The place, and the name of a backup if the last part of ``source`` is one."""
    from workers.backup.stored_backups import Catalogue, is_backup  # noqa: PLC0415 -- keeps the command line quick
    from workers.embedded.backup_access import place_of  # noqa: PLC0415 -- as above

    place, _, last = source.rstrip("/").rpartition("/")
    if whole or not is_backup(last):
        return Catalogue(place_of(settings, source, endpoint, credentials)), None
    return Catalogue(place_of(settings, place or ".", endpoint, credentials)), last


def _row(manifest: Manifest) -> dict[str, Any]:
    m = manifest
    return {
        "backup": m.id, "began": m.began, "first_began": m.first_began, "ended": m.ended,
        "bytes": m.size, "files": len(m.files), **m.counts,
        "captions": sum(one.captions for one in m.captions) if m.captions_saved else None,
        "images": None if m.images is None else m.images.images, "wildtag": m.wildtag,
        "layout_version": m.layout_version, "partitions": m.partitions, "key_prefix": m.key_prefix,
        "bucket": m.bucket, "left_out": m.left_out,
    }  # fmt: skip


def _summary(manifest: Manifest) -> str:
    m = manifest
    captions = f"{sum(one.captions for one in m.captions):,} captions" if m.captions_saved else "no captions"
    images = "no index of images" if m.images is None else f"{m.images.images:,} images in the index"
    return (
        f"{m.counts['records']:,} records, {m.counts['in_progress']:,} objects in progress,"
        f" {m.counts['statements']:,} images with statements, {m.counts['api_keys']:,} API keys,"
        f" {m.counts['batches']:,} batches, {captions}, {images}"
    )


@contextmanager
def _bars() -> Iterator[Hooks]:
    """A progress bar, and what is said beside it."""
    from workers.backup.writing import Progress as Hooks  # noqa: PLC0415 -- keeps the command line quick

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=messages, transient=True) as progress:
        bar = progress.add_task("", total=None)

        def step(what: str, total: int) -> None:
            progress.reset(bar, description=escape(what), total=total or None)

        yield Hooks(
            step, lambda count: progress.update(bar, completed=count),
            lambda text: messages.print(f"[dim]{clean(text)}[/]", soft_wrap=True),
        )  # fmt: skip


def add_to(app: typer.Typer) -> None:
    """Register this module's commands."""
    app.command(rich_help_panel=OPERATE)(backup)
    app.command(rich_help_panel=OPERATE)(restore)
    app.add_typer(backups, name="backups", rich_help_panel=OPERATE)
