"""``alive``: the health check of one process."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from vectordb.errors import Transient
from workers.cli.connection import stack_settings
from workers.cli.console import messages
from workers.cli.panels import OPERATE


def alive(
    name: Annotated[str, typer.Argument(help="A queue, or the name of another process, such as dispatcher.")],
    within: Annotated[
        float, typer.Option(min=1, help="Seconds: maximum age of the last progress, and time to answer a probe.")
    ] = 60.0,
) -> None:
    """Check whether a process makes progress; exit status 1 if it does not. For health checks.

    An unreachable Redis does not count as a failure of the process: restarting the process would not help.
    """
    from workers.diagnostics.liveness import NAMES, State  # noqa: PLC0415 -- keeps the command line quick
    from workers.wiring.liveness import liveness_check  # noqa: PLC0415 -- as above
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

    if name not in NAMES:
        raise typer.BadParameter(f"unknown process {name!r}; choose one of {', '.join(NAMES)}")
    try:
        state = liveness_check(Wiring(stack_settings()), name, fresh=within, patience=within).settled()
    except Transient as exc:
        messages.print(f"{name}: state unknown: {escape(str(exc))}", soft_wrap=True)
        return
    if state is not State.ALIVE:
        messages.print(f"[red]{name}: no progress for {within:g} s, and no answer to a probe within {within:g} s[/]")
        raise typer.Exit(1)


def add_to(app: typer.Typer) -> None:
    """Register this module's commands."""
    app.command(rich_help_panel=OPERATE)(alive)
