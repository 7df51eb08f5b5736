"""``events``: counts of the received events, and the rejected notifications."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.table import Table

from vectordb.errors import Permanent
from workers.cli.connection import connected
from workers.cli.console import Footnotes, clean, console, messages
from workers.cli.local_time import local_time
from workers.cli.panels import BUCKET
from workers.cli.results import Json
from workers.lifecycle.times import rfc3339

if TYPE_CHECKING:
    from workers.events.sink import EventSink

app = typer.Typer(
    no_args_is_help=True, help="Notifications of MinIO and other servers: counts, and what was rejected."
)


@app.command()
def rejected(
    json: Json = False,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of records, newest first.")] = 50,
) -> None:
    """List notifications that were set aside, newest first, with the reason."""
    found = _event_sink().rejected(limit)
    if json:
        for aside in found:
            body = aside.rejected.body.decode("utf-8", "backslashreplace")
            line = {"at": rfc3339(aside.at), **msgspec.structs.asdict(aside.rejected), "body": body}
            console.out(msgspec.json.encode(line).decode(), highlight=False)
        return
    if not found:
        messages.print("Nothing has been set aside.")
        return
    view = Table("when", "source", "bytes", "reason", "begins with", pad_edge=False, box=None)
    notes = Footnotes((aside.rejected.reason for aside in found), "notifications")
    for aside in found:
        begins = aside.rejected.body[:60].decode("utf-8", "replace")
        when = local_time(aside.at)
        view.add_row(
            when, aside.rejected.source, f"{aside.rejected.size:,}", notes.cell(aside.rejected.reason), clean(begins)
        )
    console.print(view)
    notes.print()


@app.command("junk", hidden=True)
def junk() -> None:
    """The former name of ``rejected``."""
    raise Permanent("wildtag events junk is now called wildtag events rejected")


@app.command()
def counts(json: Json = False) -> None:
    """Count the notifications of each source: accepted, ignored (by reason) and rejected."""
    found = _event_sink().counts()
    if json:
        console.out(msgspec.json.encode(found).decode(), highlight=False)
        return
    if not found:
        messages.print("No notification has come yet. What happens in a folder is not counted.")
        return
    view = Table(show_header=False, pad_edge=False, box=None)
    for name, count in found.items():
        view.add_row(clean(name.replace(":", " ")), f"{count:,}")
    console.print(view)


def _event_sink() -> EventSink:
    return connected().event_sink


def add_to(app_: typer.Typer) -> None:
    """Register this module's commands."""
    app_.add_typer(app, name="events", rich_help_panel=BUCKET)
