"""``keys``: who may ask the gateway for what."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
import typer
from rich.table import Table

from workers.cli.panels import OPERATE
from workers.cli.results import Json, connected
from workers.cli.show import clean, console, messages
from workers.gateway.api_keys import Scope

app = typer.Typer(no_args_is_help=True, help="API keys: who may ask the gateway for what.")


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What you will know it by: who uses it, say.")],
    scope: Annotated[
        Literal["read", "write", "admin"],
        typer.Option(help="read: look; write: upload, tag again, teach and delete as well; admin: everything."),
    ],
) -> None:
    """Make a key and print it. Only its digest is kept: it cannot be shown again."""
    key = connected().api_keys.create(name, Scope.named(scope))
    console.out(key, highlight=False)
    messages.print("[dim]Keep it now: it cannot be shown again.[/]")


@app.command("list")
def list_(json: Json = False) -> None:
    """List keys, the oldest first, without their secrets."""
    found = connected().api_keys.list()
    if json:
        for key in found:
            line = {**msgspec.structs.asdict(key), "scope": key.scope.label}
            console.out(msgspec.json.encode(line).decode(), highlight=False)
        return
    if not found:
        messages.print("There are no keys.")
        return
    view = Table("id", "name", "scope", "created", pad_edge=False, box=None)
    for key in found:
        created = datetime.fromtimestamp(key.created, UTC).astimezone().isoformat(" ", "seconds")
        view.add_row(key.id, clean(key.name), key.scope.label, created)
    console.print(view)


@app.command()
def remove(which: Annotated[str, typer.Argument(metavar="NAME|ID")]) -> None:
    """Take a key back: it opens nothing from now on."""
    if not connected().api_keys.remove(which):
        messages.print(f"[red]{clean(which)}: no such key[/]")
        raise typer.Exit(1)


def add_to(parent: typer.Typer) -> None:
    """Register this module's commands."""
    parent.add_typer(app, name="keys", rich_help_panel=OPERATE)
