"""``status``: the state of a stack, once, again and again, or as a check for scripts and monitoring."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import typer

from workers.cli.console import console, messages
from workers.cli.panels import OPERATE

INTERVAL_S = 2.0
TIMEOUT_S = 8.0
CHECK = "With --check"

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, with --watch one line each time.")]


def _limit(text: str) -> Any:
    return typer.Option(help=text, min=0, rich_help_panel=CHECK)


def status(
    seconds: Annotated[
        float | None, typer.Argument(min=0.5, max=86_400, help="With --watch: the interval. Default: 2.")
    ] = None,
    json: Json = False,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch", help="Go on until Ctrl-C, also while Redis is away. In a file or pipe: block by block."
        ),
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="One line and an exit status, as monitoring plugins have them.")
    ] = False,
    acknowledge_loss: Annotated[
        bool, typer.Option("--acknowledge-loss", help="Acknowledge that Redis lost its keys: --check warns no more.")
    ] = False,
    warning_oldest: Annotated[float, _limit("Seconds that an object may be in one stage.")] = 300,
    critical_oldest: Annotated[float, _limit("The same, critical.")] = 1800,
    warning_progress: Annotated[float, _limit("Seconds that a stage with work may make no progress.")] = 180,
    critical_progress: Annotated[float, _limit("The same, critical.")] = 600,
    warning_waiting: Annotated[float | None, _limit("Objects that may wait in the inbox. Default: any.")] = None,
    critical_waiting: Annotated[float | None, _limit("The same, critical.")] = None,
    warning_inbox: Annotated[float | None, _limit("Seconds that an event may wait for the dispatcher.")] = 900,
    critical_inbox: Annotated[float | None, _limit("The same, critical. Default: never.")] = None,
    warning_dead: Annotated[float | None, _limit("Dead objects that are not acknowledged.")] = 1,
    critical_dead: Annotated[float | None, _limit("The same, critical. Default: never.")] = None,
    warning_dead_letters: Annotated[float | None, _limit("Dead deliveries of webhooks.")] = 1,
    critical_dead_letters: Annotated[float | None, _limit("The same, critical. Default: never.")] = None,
    warning_failures: Annotated[float, _limit("Share of failed objects, 0 to 1, of those of the last hour.")] = 0.1,
    critical_failures: Annotated[float, _limit("The same, critical.")] = 0.5,
    warning_memory: Annotated[float, _limit("Share of maxmemory that Redis may use, 0 to 1.")] = 0.8,
    critical_memory: Annotated[float, _limit("The same, critical.")] = 0.95,
    warning_disk: Annotated[float, _limit("Share of a disk that must be free, 0 to 1.")] = 0.1,
    critical_disk: Annotated[float, _limit("The same, critical.")] = 0.03,
    timeout: Annotated[
        float, typer.Option(min=1, max=600, help="Seconds after which a check is critical.", rich_help_panel=CHECK)
    ] = TIMEOUT_S,
) -> None:
    """Show what waits and is in progress, each stage's load and progress, failures, and what is unavailable.

    Exit status 1: Redis, or one of its partitions, is unavailable, so nothing else is known. With --check: 0 all is
    well, 1 warning, 2 critical, 3 unknown.
    """
    if acknowledge_loss:
        _acknowledge_loss()
        return
    if check:
        from workers.cli.status.check import BadLimits, Level, Limit, Limits, failed  # noqa: PLC0415 -- keeps the command line quick
        from workers.cli.status.checking import run_check  # noqa: PLC0415 -- as above

        if watch or json:
            console.out(failed(Level.UNKNOWN, "--check goes with neither --watch nor --json"), highlight=False)
            raise typer.Exit(Level.UNKNOWN)
        try:
            limits = Limits(
                Limit(warning_oldest, critical_oldest), Limit(warning_progress, critical_progress),
                Limit(warning_waiting, critical_waiting), Limit(warning_inbox, critical_inbox),
                Limit(warning_dead, critical_dead),
                Limit(warning_dead_letters, critical_dead_letters), Limit(warning_failures, critical_failures),
                Limit(warning_memory, critical_memory), Limit(warning_disk, critical_disk, below=True),
            )  # fmt: skip
        except BadLimits as exc:
            console.out(failed(Level.UNKNOWN, str(exc)), highlight=False)
            raise typer.Exit(Level.UNKNOWN) from None
        run_check(limits, timeout)
    if seconds is not None and not watch:
        raise typer.BadParameter("a number of seconds goes with --watch")
    _status(INTERVAL_S if seconds is None else seconds, json=json, again=watch)


def _acknowledge_loss() -> None:
    from workers.cli.connection import connected  # noqa: PLC0415 -- keeps the command line quick
    from workers.wiring.operations import losses  # noqa: PLC0415 -- as above

    lost = losses(connected()).acknowledge()
    if lost is None:
        messages.print("There is nothing to acknowledge: Redis has not lost its keys in the last week.")
    else:
        messages.print(f"Acknowledged. {lost}", soft_wrap=True)


def _status(interval_s: float, *, json: bool, again: bool) -> None:
    from workers.cli.connection import no_stack  # noqa: PLC0415 -- keeps the command line quick
    from workers.cli.status import lines, reached  # noqa: PLC0415 -- as above
    from workers.cli.status.watch import Watch, run  # noqa: PLC0415 -- as above

    try:
        reader = reached.reader()
    except reached.NoStack as exc:
        raise no_stack(exc.settings, "set WILDTAG_HOME or WILDTAG_REDIS_URL to connect to another stack") from None
    if again:
        run(Watch(reader), interval_s, json=json)
        return
    found = reader.read()
    if json:
        console.out(msgspec.json.encode(found.row()).decode(), highlight=False)
    elif not found.away:
        console.print(lines.view_of(found))
    if not json:
        for one in lines.warnings(found):
            messages.print(one, soft_wrap=True)
        for one in lines.pending_lines(found):
            console.print(one)
    if found.away:
        raise typer.Exit(1)


def add_to(app: typer.Typer) -> None:
    """Register this module's command."""
    app.command(rich_help_panel=OPERATE)(status)
