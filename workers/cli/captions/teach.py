"""``captions add, taught, remove``: add captions to a version without a restart."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.markup import escape
from rich.table import Table

from vectordb.captions import SOURCE
from workers.cli.connection import home_settings
from workers.cli.console import console, messages

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vectordb.captions import Caption
    from workers.images.archive import Followed

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]
Wanted = Annotated[str | None, typer.Option("--captions", help="NAME or NAME@VERSION; default: the version in use.")]
Source = Annotated[str, typer.Option(help="Label that groups taught captions, to list or remove them later.")]


def add(
    texts: Annotated[list[str], typer.Argument(help="Captions; - reads them from standard input, one per line.")],
    source: Source = "taught",
    captions: Wanted = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Add nothing; only count the images that would be tagged again.")
    ] = False,
    json: Json = False,
) -> None:
    """Add captions to a version. New images can be tagged with them at once.

    Images that were tagged before are tagged again, after all new ones, if a new caption is among their nearest.
    """
    from workers.captions.teaching import teach  # noqa: PLC0415 -- as above
    from workers.embedded.caption_access import open_captions  # noqa: PLC0415 -- keeps the command line quick

    if texts == ["-"]:
        texts = [line for line in sys.stdin.read().splitlines() if line.strip()]
    with open_captions(home_settings(), captions) as here:
        following = here.archive.following(here.captions_version, dry=dry_run) if here.archive else None
        before = following.before if following else lambda _: None
        learnt = teach(here.index, here.encoder, texts, datetime.now(UTC), source, dry=dry_run, before=before)
        followed = following.finish() if following else None
    if json:
        _print(learnt.added, here.captions_version, followed)
        return
    verb = "would add" if dry_run else "added"
    for caption in learnt.added:
        console.print(f"{verb}  [dim]{caption.id:016x}[/]  {escape(caption.text)}", highlight=False)
    for caption in learnt.known:
        console.print(f"known  [dim]{caption.id:016x}[/]  {escape(caption.text)}", highlight=False)
    if learnt.added:
        _report(followed, dry=dry_run)
    messages.print(f"[dim]{escape(here.captions_version)}[/]", highlight=False)


def taught(source: Source = "taught", captions: Wanted = None, json: Json = False) -> None:
    """List the captions taught by one source, newest first."""
    from workers.captions import teaching  # noqa: PLC0415 -- as above
    from workers.embedded.caption_access import open_captions  # noqa: PLC0415 -- keeps the command line quick

    with open_captions(home_settings(), captions) as here:
        found = teaching.taught(here.index, source)
    if json:
        _print(found, here.captions_version)
        return
    view = Table(pad_edge=False)
    for name in ("id", "added", "by", "caption"):
        view.add_column(name, overflow="fold")
    for caption in found:
        added = str(caption.payload.get(teaching.ADDED, ""))[:16].replace("T", " ")
        view.add_row(f"{caption.id:016x}", added, escape(source), escape(caption.text))
    if found:
        console.print(view)
    else:
        messages.print(f"{here.captions_version}: no captions of the source {source!r} were taught", markup=False)


def remove(
    texts: Annotated[
        list[str] | None, typer.Argument(metavar="TEXT|ID", help="Text or id of taught captions.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="Remove all captions taught by this source.")] = None,
    captions: Wanted = None,
    json: Json = False,
) -> None:
    """Remove taught captions."""
    from workers.captions import teaching  # noqa: PLC0415 -- as above
    from workers.embedded.caption_access import open_captions  # noqa: PLC0415 -- keeps the command line quick

    if not texts and source is None:
        raise typer.BadParameter("give captions, or --source to remove all captions of a source")
    with open_captions(home_settings(), captions) as here:
        wanted = list(texts or [])
        if source is not None:
            wanted += [f"{caption.id:016x}" for caption in teaching.taught(here.index, source)]
        following = here.archive.following(here.captions_version) if here.archive else None
        before = following.before if following else lambda _: None
        gone = teaching.remove_taught(here.index, wanted, here.encoder, before=before)
        followed = following.finish() if following else None
    if json:
        _print(gone.captions, here.captions_version, followed)
        return
    for caption in gone.captions:
        console.print(f"removed  [dim]{caption.id:016x}[/]  {escape(caption.text)}", highlight=False)
    if gone.captions:
        _report(followed)
    else:
        messages.print("no captions to remove")


def _report(followed: Followed | None, *, dry: bool = False) -> None:
    if followed is None:
        messages.print("The stack does not run, or uses other captions: images that have tags keep them.")
        return
    count = followed.images
    verb = "would be" if dry else "are" if count != 1 else "is"
    messages.print(f"{count:,} {'image' if count == 1 else 'images'} {verb} tagged again")
    if not followed.complete:
        messages.print("[yellow]Not all images were compared yet:[/] it goes on, and more may be tagged again.")


def _print(captions: Iterable[Caption], version: str, followed: Followed | None = None) -> None:
    counts = iter(followed.counts) if followed else iter(())
    for caption in captions:
        row = {"id": f"{caption.id:016x}", "caption": caption.text, "source": caption.payload.get(SOURCE),
               "captions_version": version, "images": next(counts, None)}  # fmt: skip
        console.out(msgspec.json.encode(row).decode(), highlight=False)


def add_to(app: typer.Typer) -> None:
    """Register this module's commands."""
    for command in (add, taught, remove):
        app.command()(command)
