"""Connect a command to the stack of this home, or say why it cannot be reached."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import typer
from rich.markup import escape

from vectordb.errors import Transient
from workers.cli.console import messages
from workers.settings.settings import Settings

if TYPE_CHECKING:
    from workers.wiring.wiring import Wiring


def connected() -> Wiring:
    """The adapters to the stack of this home, or to the Redis that the environment names.

    Raises ``OtherLayout`` if another version of wildtag wrote its keys, ``typer.Exit`` if no stack is ready.
    """
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- keeps the command line quick

    wiring = Wiring(stack_settings())
    with suppress(Transient):  # the command itself reports the outage
        wiring.layout.require()
    return wiring


def stack_settings() -> Settings:
    """Settings of the stack of this home, or of the Redis that the environment names.

    Raises ``typer.Exit``, after a message, if no stack is ready.
    """
    from workers.embedded.stack import running  # noqa: PLC0415 -- keeps the command line quick

    settings = Settings()
    up = settings if "redis_url" in settings.model_fields_set else running(settings)
    if up is None:
        raise no_stack(settings, "set WILDTAG_HOME or WILDTAG_REDIS_URL to connect to another stack")
    return up


def no_stack(settings: Settings, alternative: str) -> typer.Exit:
    """Print that no stack is ready in this home and what to do. Returns the exception that ends the command."""
    from workers.supervision.home import phase_of  # noqa: PLC0415 -- keeps the command line quick

    home, phase = escape(str(settings.home)), phase_of(settings.home)
    if phase == "starting":
        first = f"[yellow]The stack in {home} is still starting.[/] Try again when [bold]wildtag up[/] is ready,"
    elif phase == "stopping":
        first = f"[yellow]The stack in {home} is stopping.[/] Start it again with [bold]wildtag up[/],"
    else:
        first = f"[red]No stack is running in {home}.[/] Start one with [bold]wildtag up[/],"
    messages.print(f"{first} or {alternative}.", soft_wrap=True)
    return typer.Exit(1)
