"""``alive``: what a health check asks of a process. Hidden from the help."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from vectordb.errors import Transient
from workers.cli.panels import OPERATE
from workers.cli.show import messages
from workers.settings.settings import Settings


def alive(
    name: Annotated[str, typer.Argument(help="A queue, or dispatcher, watcher, reconcile, writer, notifier.")],
    within: Annotated[
        float, typer.Option(min=1, help="Seconds: progress may be so old, and a silent worker has as long to answer.")
    ] = 60.0,
) -> None:
    """Say whether a process makes progress; exit status 1 when it does not. For health checks.

    Redis being out of reach counts against nobody but Redis: whoever acts on the answer would restart the wrong one.
    """
    from workers.diagnostics.liveness import NAMES, State  # noqa: PLC0415 -- keeps the command line quick
    from workers.wiring.liveness import liveness_check  # noqa: PLC0415 -- as above
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

    if name not in NAMES:
        raise typer.BadParameter(f"there is no {name}; there are {', '.join(NAMES)}")
    try:
        state = liveness_check(Wiring(Settings()), name, fresh=within, patience=within).settled()
    except Transient as exc:
        messages.print(f"{name}: not known, {escape(str(exc))}", soft_wrap=True)
        return
    if state is not State.AT_WORK:
        messages.print(f"[red]{name}: no progress for {within:g} s, and no answer within {within:g} s[/]")
        raise typer.Exit(1)


def add_to(app: typer.Typer) -> None:
    """Register this module's commands."""
    app.command(rich_help_panel=OPERATE)(alive)
