"""Options of the command line that have a new name. An old one is refused with one line that says the new one."""

from __future__ import annotations

from typing import Any

import click
from typer.core import TyperGroup

RENAMED = {
    "segment": {"--way": "--method"},
    "evaluate": {"--way": "--method", "--drawer": "--clipseg"},
}
"""For each command its old options and their new names."""


class RenamedOptions(TyperGroup):
    """A group whose commands name the new option when they get an old one."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.NoSuchOption as exc:
            command = "" if exc.ctx is None else exc.ctx.command_path.partition(" ")[2]
            new = RENAMED.get(command, {}).get(exc.option_name)
            if new is None:
                raise
            raise click.UsageError(f"{exc.option_name} was renamed to {new}", exc.ctx) from None
