"""One long-running process each: what the supervisor, Compose and Kubernetes start. Hidden from the help."""

from __future__ import annotations

from typing import Annotated

import typer

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


def add_to(app: typer.Typer) -> None:
    """Register this module's commands."""
    for command in (worker, dispatcher, watcher, flower):
        app.command(hidden=True)(command)
