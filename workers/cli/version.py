"""``wildtag --version``."""

from __future__ import annotations

from typing import Annotated

import typer


def _print(value: bool) -> None:
    if value:
        from importlib.metadata import version  # noqa: PLC0415 -- keeps the help quick

        typer.echo(f"wildtag {version('wildtag')}")
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
