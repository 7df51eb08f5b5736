"""``down``: stop the stack of a home from another terminal."""

from __future__ import annotations

import signal
import time
from typing import Annotated

import typer
from rich.markup import escape

from workers.cli.console import console, messages
from workers.cli.panels import RUN
from workers.settings.settings import Settings

LOOK_EVERY_S = 0.1


def down(
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait until everything has stopped.")] = 30.0,
    drain: Annotated[
        bool, typer.Option("--drain", help="Finish what is in progress first, see `wildtag drain`.")
    ] = False,
    drain_timeout: Annotated[float, typer.Option(min=0, help="Seconds for that; then nothing is stopped.")] = 600.0,
) -> None:
    """Stop the stack of this home, as Ctrl-C does where it was started. Exit status 1: none runs or stops.

    Objects in progress are finished or tagged after the next start; nothing is lost.
    """
    from workers.supervision.home import supervisor_of  # noqa: PLC0415 -- keeps the command line quick
    from workers.supervision.os_processes import alive, send  # noqa: PLC0415 -- as above

    if drain:
        from workers.cli.connection import connected  # noqa: PLC0415 -- as above
        from workers.cli.drain import drained  # noqa: PLC0415 -- as above

        if not drained(connected(), drain_timeout):
            raise typer.Exit(1)
    home = Settings().home
    found = supervisor_of(home)
    if found is None or not send(found, signal.SIGTERM):
        messages.print(f"[red]No stack is running in {escape(str(home))}.[/]", soft_wrap=True)
        raise typer.Exit(1)
    until = time.monotonic() + timeout
    while alive(found):
        if time.monotonic() >= until:
            messages.print(f"[red]The stack has not stopped within {timeout:g} s[/] (process {found.pid}).")
            raise typer.Exit(1)
        time.sleep(LOOK_EVERY_S)
    console.print(f"Stopped the stack in {escape(str(home))}.", soft_wrap=True)


def add_to(app: typer.Typer) -> None:
    """Register this module's command."""
    app.command(rich_help_panel=RUN)(down)
