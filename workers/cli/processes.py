"""One long-running process each: what the supervisor, Compose and Kubernetes start. Hidden from the help."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from vectordb.errors import Transient
from workers.cli.show import messages
from workers.settings import INGESTION, QUEUES, Settings


def worker(
    queues: Annotated[list[str], typer.Argument(help=f"Which of {', '.join(QUEUES)}.")],
    concurrency: Annotated[int, typer.Option(min=1, help="Processes in the pool.")] = 1,
) -> None:
    """Consume the queues of one or more stages."""
    from workers.processes import run_worker  # noqa: PLC0415 -- keeps the command line quick
    from workers.stack import running  # noqa: PLC0415 -- as above

    unknown = [queue for queue in queues if queue not in QUEUES]
    if unknown:
        raise typer.BadParameter(f"no such stage: {', '.join(unknown)}; there are {', '.join(QUEUES)}")
    settings = Settings()
    if queues == [INGESTION]:  # the one that a person starts by hand, for the stack that runs here
        settings = running(settings) or settings
    run_worker(settings, queues, concurrency)


def dispatcher() -> None:
    """Turn inbox events into batches, and keep the ledger."""
    from workers.processes import run_dispatcher  # noqa: PLC0415 -- keeps the command line quick

    run_dispatcher(Settings())


def watcher() -> None:
    """Follow the inbox folder."""
    from workers.processes import run_watcher  # noqa: PLC0415 -- keeps the command line quick

    run_watcher(Settings())


def flower(
    port: Annotated[int, typer.Option(min=1, max=65535)] = 5555,
    address: Annotated[
        str, typer.Option(help="Where to listen; beyond this machine only with WILDTAG_FLOWER_AUTH.")
    ] = "127.0.0.1",
) -> None:
    """Flower, on the loopback address unless told otherwise."""
    from workers.processes import run_flower  # noqa: PLC0415 -- keeps the command line quick

    run_flower(Settings(), port, address)


def alive(
    name: Annotated[str, typer.Argument(help="A queue, or dispatcher, watcher or reconcile.")],
    within: Annotated[
        float, typer.Option(min=1, help="Seconds: progress may be so old, and a silent worker has as long to answer.")
    ] = 60.0,
) -> None:
    """Say whether a process makes progress; exit status 1 when it does not. For health checks.

    Redis being out of reach counts against nobody but Redis: whoever acts on the answer would restart the wrong one.
    """
    from workers.pulse import NAMES, Pulse, State  # noqa: PLC0415 -- keeps the command line quick
    from workers.wiring import Wiring  # noqa: PLC0415 -- as above

    if name not in NAMES:
        raise typer.BadParameter(f"there is no {name}; there are {', '.join(NAMES)}")
    try:
        state = Pulse(Wiring(Settings()), name, fresh=within, patience=within).settled()
    except Transient as exc:
        messages.print(f"{name}: not known, {escape(str(exc))}", soft_wrap=True)
        return
    if state is not State.AT_WORK:
        messages.print(f"[red]{name}: no progress for {within:g} s, and no answer within {within:g} s[/]")
        raise typer.Exit(1)


def add_to(app: typer.Typer) -> None:
    """Register this module's commands."""
    for command in (worker, dispatcher, watcher, flower, alive):
        app.command(hidden=True)(command)
