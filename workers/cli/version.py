"""``wildtag --version``."""

from __future__ import annotations

import importlib.metadata
from typing import Annotated

import typer


def _print(value: bool) -> None:
    if value:
        typer.echo(f"wildtag {importlib.metadata.version('wildtag')}")
        raise typer.Exit


def add_to(app: typer.Typer) -> None:
    """Register the option."""

    @app.callback()
    def options(
        version: Annotated[
            bool, typer.Option("--version", callback=_print, is_eager=True, help="Print the version and exit.")
        ] = False,
    ) -> None:
        del version  # its callback has printed it
