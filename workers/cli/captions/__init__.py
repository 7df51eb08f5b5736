"""``wildtag captions …``: manage caption databases, from which all tags come."""

from __future__ import annotations

import typer

from workers.cli.captions import build, copy, get, keep, look, skipped, teach, thresholds
from workers.cli.panels import CAPTIONS

captions = typer.Typer(no_args_is_help=True, help="Import, switch, copy, search and teach captions.")
for module in (build, get, keep, copy, look, teach, thresholds, skipped):
    module.add_to(captions)


def add_to(app: typer.Typer) -> None:
    """Register the group."""
    app.add_typer(captions, name="captions", rich_help_panel=CAPTIONS)
