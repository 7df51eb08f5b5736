"""``duplicates``: copies of one picture."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer
from rich.filesize import decimal
from rich.table import Table

from tasks.message_parts import place_of
from workers.cli.connection import connected
from workers.cli.console import clean, console, messages
from workers.cli.panels import TAG
from workers.cli.show import named


def duplicates(
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of groups that are shown.")] = 50,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per group, all of them.")] = False,
) -> None:
    """List copies of one picture: resized, compressed, turned or mirrored. Nothing is deleted.

    The largest picture of a group comes first; the others are compared with it.
    """
    from workers.wiring.operations import duplicate_finder  # noqa: PLC0415 -- keeps the command line quick

    with console.status("comparing images"):
        wiring = connected()
        groups = duplicate_finder(wiring).find()
    if json:
        for group in groups:
            console.out(msgspec.json.encode(group).decode(), highlight=False)
        return
    if not groups:
        messages.print("no duplicates")
        return
    view = Table(pad_edge=False)
    for name in ("picture", "pixels", "bytes", "compared with the first"):
        view.add_column(name, overflow="fold", justify="right" if name in {"pixels", "bytes"} else "left")
    oids = [copy.id for group in groups[:limit] for copy in group.copies]
    records = dict(zip(oids, wiring.records.get(oids), strict=True))
    for group in groups[:limit]:
        for place, copy in enumerate(group.copies):
            record = records[copy.id]
            key = named(record) if record else clean(place_of(copy.id)[1])
            why = "same bytes" if copy.exact else f"{copy.transform}, {copy.distance} bits differ"
            name, why = (f"  {key}", why) if place else (f"[bold]{key}[/]", "")
            view.add_row(name, f"{copy.pixels:,}", decimal(copy.bytes), why)
    console.print(view)
    wasted = decimal(sum(group.wasted for group in groups))
    messages.print(f"{len(groups):,} {'group' if len(groups) == 1 else 'groups'}; all but the first take {wasted}")
    if len(groups) > limit:
        messages.print(f"{len(groups) - limit:,} more groups: --limit {len(groups)}, or --json")


def add_to(app: typer.Typer) -> None:
    """Register this module's command."""
    app.command(rich_help_panel=TAG)(duplicates)
