"""The log lines of a stack that none of its Python processes writes: those of the supervisor and of Redis."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import typer
from rich.markup import escape

from workers.cli.console import messages
from workers.processes.logs import secrets_of
from workers.settings.settings import Settings
from workers.supervision.log_files import begin_log
from workers.supervision.supervisor import Event
from workers.telemetry import tracing
from workers.telemetry.formats import chosen
from workers.telemetry.redaction import Redactor
from workers.telemetry.single_lines import lines_in, of_redis

LEVELS = {"died": "error", "stuck": "error", "killed": "warning", "leftover": "warning"}


def stack_lines(settings: Settings) -> tuple[Callable[[Event], None], Callable[[str], str | None]]:
    """What reports an event of the supervisor, and what turns a line of the Redis server into one of its log.

    Events are shown to people, unless the settings name a format for programs, and stored in ``supervisor.log``.
    Raises ``TracingMissing``.
    """
    if settings.tracing:
        tracing.require()  # before processes end for want of it
    line = lines_in(chosen(settings.log_format, None), Redactor(secrets_of(settings)))

    def say(event: Event) -> None:
        written = line(
            LEVELS.get(event.kind, "info"), f"process {event.kind}", name=event.service, detail=event.detail,
            of_pid=event.pid, process="supervisor",
        )  # fmt: skip
        with suppress(OSError), begin_log(settings.home / "logs" / "supervisor.log") as log:
            log.write(f"{written}\n".encode())
        if settings.log_format in {"json", "logfmt"}:
            typer.echo(written, err=True)
        else:
            messages.print(f"[dim]{escape(str(event))}[/]")

    return say, of_redis(line, "redis", settings.log_level)
