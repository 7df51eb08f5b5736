"""Commands that run one long-running process each, for the supervisor, Compose and Kubernetes."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from workers.cli.connection import process_settings
from workers.cli.panels import RUN
from workers.settings.settings import QUEUES


def worker(
    queues: Annotated[list[str], typer.Argument(help=f"Queues to consume: {', '.join(QUEUES)}.")],
    concurrency: Annotated[int, typer.Option(min=1, help="Number of child processes.")] = 1,
) -> None:
    """Run a worker, which consumes the queues of one or more stages."""
    from workers.processes.worker import run_worker  # noqa: PLC0415 -- keeps the command line quick
    from workers.supervision.os_processes import MARK  # noqa: PLC0415 -- as above
    from workers.supervision.supervisor import read_stack  # noqa: PLC0415 -- as above
    from workers.wiring.model_devices import require_device  # noqa: PLC0415 -- as above

    unknown = [queue for queue in queues if queue not in QUEUES]
    if unknown:
        raise typer.BadParameter(f"unknown queue: {', '.join(unknown)}; choose from {', '.join(QUEUES)}")
    settings = process_settings(lambda found: require_device(found, queues))
    # in a container, the host has a name of its own; the supervisor starts one of each
    beside = MARK not in os.environ and read_stack(settings.home) is not None
    run_worker(settings, queues, concurrency, beside=beside)


def dispatcher() -> None:
    """Run the dispatcher, which turns events into batches and keeps the ledger."""
    from workers.processes.dispatcher import run_dispatcher  # noqa: PLC0415 -- keeps the command line quick

    run_dispatcher(process_settings())


def watcher() -> None:
    """Watch the inbox folder for new, changed and removed images."""
    from workers.processes.watcher import run_watcher  # noqa: PLC0415 -- keeps the command line quick

    run_watcher(process_settings())


def gateway(
    host: Annotated[str | None, typer.Option(help="Address to listen on; default: WILDTAG_GATEWAY_HOST.")] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port to listen on; default: WILDTAG_GATEWAY_PORT.")
    ] = None,
) -> None:
    """Run the HTTP gateway: the page, the API and the webhook for events."""
    from workers.processes.gateway import run_gateway  # noqa: PLC0415 -- keeps the command line quick

    chosen = {"gateway_host": host, "gateway_port": port}
    run_gateway(
        process_settings().model_copy(update={name: value for name, value in chosen.items() if value is not None})
    )


listen = typer.Typer(no_args_is_help=True, help="Consume bucket notifications.")


@listen.command("redis")
def listen_redis() -> None:
    """Consume the events that MinIO's Redis target writes."""
    from workers.processes.redis_target import run_redis_target  # noqa: PLC0415 -- keeps the command line quick

    run_redis_target(process_settings())


@listen.command("bucket")
def listen_bucket() -> None:
    """Consume the events of the bucket over MinIO's listen API."""
    from workers.processes.listener import run_listener  # noqa: PLC0415 -- keeps the command line quick

    run_listener(process_settings())


def flower(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 5555,
    address: Annotated[
        str, typer.Option(help="Address to listen on; any but loopback requires WILDTAG_FLOWER_AUTH.")
    ] = "127.0.0.1",
) -> None:
    """Run Flower, which monitors the workers. Default of WILDTAG_FLOWER_AUTH: the file flower.auth in the home."""
    from workers.embedded.private_home import flower_auth  # noqa: PLC0415 -- as above
    from workers.gateway.addresses import loopback  # noqa: PLC0415 -- as above
    from workers.processes.flower import run_flower  # noqa: PLC0415 -- keeps the command line quick

    settings = process_settings()
    if loopback(address):  # another address is for other machines, and their users need to know the password
        settings = settings.model_copy(update={"flower_auth": flower_auth(settings)})
    run_flower(settings, port, address)


def add_to(app: typer.Typer) -> None:
    """Register this module's commands."""
    for command in (worker, dispatcher, watcher, gateway, flower):
        app.command(rich_help_panel=RUN)(command)
    app.add_typer(listen, name="listen", rich_help_panel=RUN)
