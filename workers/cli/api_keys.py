"""``keys``: API keys of the gateway."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import typer
from rich.table import Table

from workers.cli.connection import connected
from workers.cli.console import clean, console, messages
from workers.cli.local_time import local_time
from workers.cli.panels import OPERATE
from workers.cli.results import Json
from workers.lifecycle.times import rfc3339

app = typer.Typer(no_args_is_help=True, help="Create, list and revoke API keys of the gateway.")


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="A name for the key, such as its user.")],
    scope: Annotated[
        Literal["read", "write", "admin"],
        typer.Option(help="read: read results; write: also upload, retag, teach and delete; admin: everything."),
    ],
) -> None:
    """Create a key and print it. Only its hash is stored, so it cannot be shown again."""
    from workers.gateway.api_keys import Scope  # noqa: PLC0415 -- keeps the command line quick

    key = connected().api_keys.create(name, Scope.named(scope))
    console.out(key, highlight=False)
    messages.print("[dim]Save this key now: it cannot be shown again.[/]")


@app.command("list")
def list_(json: Json = False) -> None:
    """List keys, oldest first, without their secrets."""
    found = connected().api_keys.list()
    if json:
        for key in found:
            line = {**msgspec.structs.asdict(key), "scope": key.scope.label, "created": rfc3339(key.created)}
            console.out(msgspec.json.encode(line).decode(), highlight=False)
        return
    if not found:
        messages.print("There are no API keys. Create one: wildtag keys create NAME --scope write")
        return
    view = Table("id", "name", "scope", "created", pad_edge=False, box=None)
    for key in found:
        created = local_time(key.created)
        view.add_row(key.id, clean(key.name), key.scope.label, created)
    console.print(view)


@app.command()
def remove(which: Annotated[str, typer.Argument(metavar="NAME|ID", help="As `wildtag keys list` shows it.")]) -> None:
    """Revoke a key. The gateway refuses it from now on."""
    if not connected().api_keys.remove(which):
        messages.print(f"[red]{clean(which)}: no such key[/]; `wildtag keys list` shows all keys")
        raise typer.Exit(1)


def add_to(parent: typer.Typer) -> None:
    """Register this module's commands."""
    parent.add_typer(app, name="keys", rich_help_panel=OPERATE)
