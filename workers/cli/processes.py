"""One long-running process each: what the supervisor, Compose and Kubernetes start."""

from __future__ import annotations

from typing import Annotated

import typer

from workers.cli.panels import RUN
from workers.settings.settings import INGESTION, QUEUES, Settings


def worker(
    queues: Annotated[list[str], typer.Argument(help=f"Which of {', '.join(QUEUES)}.")],
    concurrency: Annotated[int, typer.Option(min=1, help="Processes in the pool.")] = 1,
) -> None:
    """Consume the queues of one or more stages."""
    from workers.embedded.stack import running  # noqa: PLC0415 -- as above
    from workers.processes.worker import run_worker  # noqa: PLC0415 -- keeps the command line quick

    unknown = [queue for queue in queues if queue not in QUEUES]
    if unknown:
        raise typer.BadParameter(f"no such stage: {', '.join(unknown)}; there are {', '.join(QUEUES)}")
    settings = Settings()
    if queues == [INGESTION]:  # the one that a person starts by hand, for the stack that runs here
        settings = running(settings) or settings
    run_worker(settings, queues, concurrency)


def dispatcher() -> None:
    """Turn inbox events into batches, and keep the ledger."""
    from workers.processes.dispatcher import run_dispatcher  # noqa: PLC0415 -- keeps the command line quick

    run_dispatcher(Settings())


def watcher() -> None:
    """Follow the inbox folder."""
    from workers.processes.watcher import run_watcher  # noqa: PLC0415 -- keeps the command line quick

    run_watcher(Settings())


def gateway(
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535)] = None,
) -> None:
    """Take in events over HTTP."""
    from workers.processes.gateway import run_gateway  # noqa: PLC0415 -- keeps the command line quick

    chosen = {"gateway_host": host, "gateway_port": port}
    run_gateway(_here().model_copy(update={name: value for name, value in chosen.items() if value is not None}))


listen = typer.Typer(no_args_is_help=True, help="Follow a bucket by what its server tells.")


@listen.command("redis")
def listen_redis() -> None:
    """Take over what MinIO's Redis target writes."""
    from workers.processes.redis_target import run_redis_target  # noqa: PLC0415 -- keeps the command line quick

    run_redis_target(_here())


@listen.command("bucket")
def listen_bucket() -> None:
    """Listen to the bucket over MinIO's listen API."""
    from workers.processes.listener import run_listener  # noqa: PLC0415 -- keeps the command line quick

    run_listener(_here())


def _here() -> Settings:
    """For what may be started by hand: the settings of the stack that runs here, unless a Redis is named."""
    from workers.embedded.stack import reached  # noqa: PLC0415 -- keeps the command line quick

    return reached(Settings())


def flower(
    port: Annotated[int, typer.Option(min=1, max=65535)] = 5555,
    address: Annotated[
        str, typer.Option(help="Where to listen; beyond this machine only with WILDTAG_FLOWER_AUTH.")
    ] = "127.0.0.1",
) -> None:
    """Flower, on the loopback address unless told otherwise."""
    from workers.processes.flower import run_flower  # noqa: PLC0415 -- keeps the command line quick

    run_flower(Settings(), port, address)


def add_to(app: typer.Typer) -> None:
    """Register this module's commands."""
    for command in (worker, dispatcher, watcher, gateway, flower):
        app.command(rich_help_panel=RUN)(command)
    app.add_typer(listen, name="listen", rich_help_panel=RUN)
