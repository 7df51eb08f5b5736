"""Options of the command line that have a new name. An old one is refused with one line that says the new one."""

from __future__ import annotations

from itertools import takewhile
from typing import Any

import typer
from typer.core import TyperGroup

RENAMED = {
    "segment": {"--way": "--method"},
    "evaluate": {"--way": "--method", "--drawer": "--clipseg"},
}
"""The old options of each command and their new names. A command of a group has both names: ``captions build``."""


class RenamedOptions(TyperGroup):
    """The group of all commands. Raises ``typer.BadParameter`` for an old option."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """See ``click.Group.resolve_command``."""
        name, _, rest = found = super().resolve_command(ctx, args)
        renamed = RENAMED.get(str(name), {}) | RENAMED.get(" ".join([str(name), *rest[:1]]), {})
        for argument in takewhile(lambda one: one != "--", rest):
            option = argument.partition("=")[0]
            if option in renamed:
                raise typer.BadParameter(f"the option {option} has been renamed: use {renamed[option]}", ctx)
        return found
