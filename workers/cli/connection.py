"""Connect a command to the stack of this home, or say why it cannot be reached."""

from __future__ import annotations

from collections.abc import Callable
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
    from workers.embedded.stack import reached, running  # noqa: PLC0415 -- keeps the command line quick

    settings = Settings()
    up = reached(settings) if "redis_url" in settings.model_fields_set else running(settings)
    if up is None:
        raise no_stack(settings, "set WILDTAG_HOME or WILDTAG_REDIS_URL to connect to another stack")
    return up


def home_settings(given: Settings | None = None) -> Settings:
    """Settings for what works with and without a stack: those of the stack of this home if it is ready."""
    from workers.embedded.stack import reached  # noqa: PLC0415 -- keeps the command line quick

    return reached(given or Settings())


def process_settings(check: Callable[[Settings], object] = lambda _: None) -> Settings:
    """Settings of a process that somebody starts: it joins the stack of this home, or the Redis of the environment.

    ``check``: raises an error if these settings are of no use for it. Raises ``typer.Exit``, after a message, if
    there is neither, and no Redis at the default URL.
    """
    settings = Settings()
    found = home_settings(settings)
    check(found)
    if found is settings and "redis_url" not in settings.model_fields_set:
        from workers.wiring.operations import impatient_layout  # noqa: PLC0415 -- keeps the command line quick
        from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

        try:
            impatient_layout(Wiring(settings)).recorded()
        except Transient:
            raise no_stack(settings, "set WILDTAG_HOME or WILDTAG_REDIS_URL to run it for another one") from None
        messages.print(f"No stack is running in {escape(str(settings.home))}: using {settings.redis_url}.")
    return found


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
