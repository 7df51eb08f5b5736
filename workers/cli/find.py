"""``find``: search the images of a running stack."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.table import Table

from workers.cli.connection import connected
from workers.cli.panels import TAG
from workers.cli.results import Json
from workers.cli.show import clean, console, messages
from workers.stores.folder_names import key_text

if TYPE_CHECKING:
    from workers.images.finding import FoundImage
    from workers.images.search_filter import SearchFilter
    from workers.wiring.wiring import Wiring

MOST = 1000  # images that one search lists

Labels = list[str] | None


def find(
    query: Annotated[str | None, typer.Argument(help="A text: what the images show, or a tag.")] = None,
    like: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|KEY", help="Images that look like this file, or else like the object with this key."
        ),
    ] = None,
    tag: Annotated[Labels, typer.Option(help="Only images with this tag, in any spelling, also implied.")] = None,
    not_tag: Annotated[Labels, typer.Option(help="No images with this tag.")] = None,
    bucket: Annotated[str | None, typer.Option(help="Only images of this bucket.")] = None,
    prefix: Annotated[str, typer.Option(help="Only keys that begin with this.")] = "",
    after: Annotated[str | None, typer.Option(help="Only images taken then or later: a date, or RFC 3339.")] = None,
    before: Annotated[str | None, typer.Option(help="Only images taken then, on that date, or earlier.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="Maximum number of images.")] = 20,
    json: Json = False,
) -> None:
    """Find images by what they show, by an image that looks like them, or by tags alone; the best first.

    Quotes mark words that an image must be found by, a minus words that it must not: find "car -truck". Tags and
    other filters alone list the images that were tagged last first.
    """
    from workers.images.search_filter import BadTime, SearchFilter  # noqa: PLC0415 -- keeps the command line quick

    text = (query or "").strip()
    if text and like is not None:
        raise typer.BadParameter("give a text or --like, not both")
    if not all(label.strip() for label in (*(tag or ()), *(not_tag or ()))):
        raise typer.BadParameter("--tag or --not-tag is empty: name a tag")
    try:
        where = SearchFilter.of(tag or (), not_tag or (), bucket, prefix, after, before)
    except BadTime as exc:
        raise typer.BadParameter(str(exc)) from exc
    if not text and like is None and where.empty:
        raise typer.BadParameter("give a text, --like or a filter such as --tag")
    _show(_found(connected(), text, like, where, limit), json=json)


def _found(wiring: Wiring, text: str, like: str | None, where: SearchFilter, limit: int) -> list[FoundImage]:
    from workers.images.finding import Asked, NoVector  # noqa: PLC0415 -- keeps the command line quick
    from workers.stores.folder_files import read_file  # noqa: PLC0415 -- as above
    from workers.wiring.operations import finder, spellings  # noqa: PLC0415 -- as above

    asked = Asked(where, text)
    lookup = spellings(wiring)
    if like is not None and Path(like).is_file():
        data, _ = read_file(Path(like), wiring.settings.max_object_bytes)
        asked = Asked(where, image=data)
    elif like is not None:
        bucket = where.bucket or wiring.settings.bucket
        asked = Asked(where, like=(bucket, lookup.find(bucket, key_text(like))))
    try:
        page = finder(wiring).find(asked, limit)
    except NoVector as exc:
        hint = lookup.hint(*asked.like) if asked.like else ""
        raise NoVector(f"{exc}, and there is no file of this name{hint}") from exc
    return list(page.images)


def _show(found: list[FoundImage], *, json: bool) -> None:
    if json:
        for one in found:
            console.out(msgspec.json.encode(one.row()).decode(), highlight=False)
        return
    if not found:
        messages.print("No image was found.")
        return
    view = Table(expand=False, pad_edge=False)
    view.add_column("photo", overflow="fold", style="bold")
    view.add_column("found by", overflow="fold", ratio=2)
    view.add_column("tags (confidence or score)", overflow="fold", ratio=3)
    for one in found:
        tags = ", ".join(f"{clean(tag.label)} [dim]{tag.strength:.2f}[/]" for tag in one.record.tags)
        view.add_row(clean(one.record.key), _why(one), tags or "[yellow]unknown[/]")
    console.print(view)


def _why(found: FoundImage) -> str:
    parts = []
    if found.similarity is not None:
        parts.append(f"similarity {found.similarity:.2f}")
    if found.tags:
        parts.append(f"tags {clean(', '.join(found.tags))}")
    if found.words:
        parts.append(f"words {clean(', '.join(found.words))}")
    return "; ".join(parts) or "filters"


def add_to(app: typer.Typer) -> None:
    """Register this module's commands."""
    app.command(rich_help_panel=TAG)(find)
