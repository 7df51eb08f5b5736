"""``find``: search the images of a running stack."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.table import Table

from workers.cli.connection import connected
from workers.cli.console import clean, console, messages
from workers.cli.panels import TAG
from workers.cli.results import Json
from workers.cli.show import named
from workers.lifecycle.record import STATES, as_state
from workers.stores.folder_names import key_text

if TYPE_CHECKING:
    from workers.images.finding import FoundImage, FoundPage
    from workers.images.search_filter import SearchFilter
    from workers.wiring.wiring import Wiring

MOST = 1000  # images that one search lists
LONGEST_TEXT = 80  # characters of metadata that are shown

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
    state: Annotated[
        str | None, typer.Option(help=f"Only images in this state, without a text or --like: {', '.join(STATES)}.")
    ] = None,
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
    chosen = None if state is None else as_state(state)
    if state is not None and chosen is None:
        raise typer.BadParameter(f"unknown state {state!r}; choose one of {', '.join(STATES)}")
    try:
        where = SearchFilter.of(tag or (), not_tag or (), bucket, prefix, after, before, chosen)
    except BadTime as exc:
        raise typer.BadParameter(str(exc)) from exc
    if not text and like is None and where.empty:
        raise typer.BadParameter("give a text, --like or a filter such as --tag")
    if not where.tagged and (text or like is not None):
        raise typer.BadParameter(f"images that are {state} have no tags: give --state without a text or --like")
    found = _found(connected(), text, like, where, limit)
    _show(found, json=json)
    if found.coverage.incomplete is not None:
        messages.print(f"[yellow]{clean(found.coverage.incomplete)}[/]", soft_wrap=True)


def _found(wiring: Wiring, text: str, like: str | None, where: SearchFilter, limit: int) -> FoundPage:
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
        return finder(wiring).find(asked, limit)
    except NoVector as exc:
        hint = lookup.hint(*asked.like) if asked.like else ""
        raise NoVector(f"{exc}, and there is no file of this name{hint}") from exc


def _show(page: FoundPage, *, json: bool) -> None:
    found = page.images
    if not found:
        messages.print(f"No image was found{f': {clean(page.hint)}' if page.hint else '.'}", soft_wrap=True)
    elif page.hint:
        messages.print(clean(page.hint), soft_wrap=True)
    if json:
        for one in found:
            console.out(msgspec.json.encode(one.row()).decode(), highlight=False)
        return
    if not found:
        return
    view = Table(expand=False, pad_edge=False)
    view.add_column("photo", overflow="fold", style="bold")
    view.add_column("found by", overflow="fold", ratio=2)
    view.add_column("tags (confidence or score)", overflow="fold", ratio=3)
    for one in found:
        tags = ", ".join(f"{clean(tag.label)} [dim]{tag.strength:.2f}[/]" for tag in one.record.tags)
        if one.record.error is not None:
            tags = f"[red]{one.record.state}[/]: {clean(one.record.error.reason)}"
        view.add_row(named(one.record), _why(one), tags or "[yellow]unknown[/]")
    console.print(view)


def _why(found: FoundImage) -> str:
    parts = []
    if found.similarity is not None:
        parts.append(f"similarity {found.similarity:.2f}")
    if found.tags:
        parts.append(f"tags {clean(', '.join(found.tags))}")
    if found.metadata:
        parts.append(f"metadata: {clean(', '.join(map(_short, found.metadata)))}")
    if found.words:
        parts.append(f"words {clean(', '.join(found.words))}")
    return "; ".join(parts) or "filters"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"


def add_to(app: typer.Typer) -> None:
    """Register this module's commands."""
    app.command(rich_help_panel=TAG)(find)
