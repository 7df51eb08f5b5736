"""``wildtag status``."""

from __future__ import annotations

import typer

from workers.cli.status import command


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    command.add_to(app)
