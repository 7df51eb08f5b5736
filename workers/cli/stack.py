"""``up`` and ``demo``: the whole stack on this machine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from vectordb.errors import Permanent
from workers.cli.console import console, messages
from workers.cli.first_start import prepare_captions, tune_encoder
from workers.cli.local_time import local_time
from workers.cli.models import explain
from workers.cli.panels import RUN
from workers.settings.settings import SEGMENTATION, Settings

if TYPE_CHECKING:
    from workers.wiring.wiring import Wiring

BETTER = "openai/clip-vit-large-patch14"  # the encoder of the paper
FLOWER_PORT = 5555  # unless another one is set, or this one is in use
OWN_REDIS = (
    "WILDTAG_REDIS_URL is not used here: wildtag up runs a Redis of its own in the home, and other commands would"
    " look for the stack at that URL. Unset it, or run each process by itself: wildtag worker, dispatcher, watcher,"
    " gateway."
)
PREFORK = ("workers.cli", "workers.cli.preload")


@dataclass(frozen=True)
class _Up:
    """A stack that is ready."""

    wiring: Wiring
    flower: str
    key: str | None
    watch: Callable[[], None]
    run: Callable[[], object]


def up(
    encoder: Annotated[
        str | None, typer.Option(help="Encoder; `wildtag models` lists some. Default: WILDTAG_ENCODER.")
    ] = None,
) -> None:
    """Run the whole stack on this machine until Ctrl-C. Images in the printed folder are tagged."""
    from workers.embedded.private_home import flower_auth_file  # noqa: PLC0415 -- keeps the command line quick

    settings = Settings() if encoder is None else Settings(encoder=encoder)
    if encoder is not None:
        explain(encoder)
    with _stack(settings) as stack:
        here = stack.wiring.settings
        if here.s3_endpoint is None:
            inbox = "Drop images into" if here.output_folder is None else "Images are in"  # it may be read-only
            console.print(f"\n{inbox:16}  [bold]{escape(str(here.inbox_folder))}[/]")
        else:
            console.print(f"\nPut images into   [bold]{escape(f'{here.s3_endpoint}, bucket {here.bucket}')}[/]")
            webhook = f"http://127.0.0.1:{here.gateway_port}/v1/events/minio"
            found_by = "the listen API" if here.listen else "the periodic sweep"
            console.print(f"Webhook           [bold]{webhook}[/]; without it {found_by} finds images")
        console.print(f"or onto the page  [bold]http://127.0.0.1:{here.gateway_port}/[/]")
        if stack.key is not None:
            _offer(stack.key, here)
        console.print(f"Flower            [bold]{stack.flower}[/]")
        if settings.flower_auth is None:
            console.print(f"with the user and the password in {escape(str(flower_auth_file(here.home)))}")
        console.print("See results with  [bold]wildtag watch[/]  and  [bold]wildtag results[/]; Ctrl-C stops.\n")
        stack.run()


def demo() -> None:
    """Start the stack, tag 13 sample photographs, show the results, and stop."""
    from tasks.encoders import BUNDLED  # noqa: PLC0415 -- keeps the command line quick
    from workers.cli.samples import PATIENCE_S, tag_samples  # noqa: PLC0415 -- as above
    from workers.embedded.stack import running  # noqa: PLC0415 -- as above
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

    settings = Settings()
    already = running(settings)
    if already is not None:
        messages.print("Using the stack that is already running in this home.")
        wiring = Wiring(already)
        wiring.layout.require()
        complete = tag_samples(wiring, lambda: None)
    else:
        with _stack(settings) as stack:
            complete = tag_samples(stack.wiring, stack.watch)
    if complete:
        console.print(
            f"The photographs are in {escape(str(settings.inbox_folder))}. To tag your own images, run: wildtag up"
        )
        if settings.encoder == BUNDLED:
            messages.print(
                "Only tags that are sure enough are shown (WILDTAG_MIN_CONFIDENCE); an image without any is unknown."
                " The bundled encoder is modest. For more and better tags: wildtag up --encoder"
                f" {BETTER}  (other encoders: wildtag models; better captions: wildtag captions get)",
                highlight=False,
            )  # fmt: skip
    else:
        messages.print(
            f"[red]Some photographs were not tagged within {PATIENCE_S:.0f} s.[/]"
            f" See the logs in {escape(str(settings.home / 'logs'))}"
        )
        raise typer.Exit(1)


def prepare() -> None:
    """Encode the starter captions, unless that has been done. Measures the encoder first (`wildtag tune`)."""
    settings = Settings()
    tune_encoder(settings)
    prepare_captions(settings)


@contextmanager
def _stack(settings: Settings) -> Iterator[_Up]:
    from workers.cli.stack_lines import stack_lines  # noqa: PLC0415 -- as above
    from workers.embedded.private_home import flower_auth, private_home  # noqa: PLC0415 -- as above
    from workers.settings.webhook_receivers import receivers_of  # noqa: PLC0415 -- as above
    from workers.supervision.supervisor import Supervisor  # noqa: PLC0415 -- keeps the command line quick
    from workers.wiring.encoder_in_use import in_use, require_encoder_of_home  # noqa: PLC0415 -- as above
    from workers.wiring.model_devices import embedding_devices, require_device  # noqa: PLC0415 -- as above

    say, of_redis = stack_lines(settings)
    require_encoder_of_home(settings)  # before captions are encoded for another one
    receivers_of(settings)  # a wrong file is reported before anything is started
    require_device(settings, [SEGMENTATION])
    devices = embedding_devices(settings)
    os.umask(0o077)  # of this process and all that it starts
    for one in private_home(settings):
        messages.print(f"[yellow]{escape(one)}[/]", soft_wrap=True)
    if "redis_url" in settings.model_fields_set:
        messages.print(f"[yellow]{OWN_REDIS}[/]", soft_wrap=True)
    _require_inbox(settings)
    try:
        with Supervisor(
            settings.home, on_event=say, prefork=PREFORK, log_limit=settings.log_bytes, logs_kept=settings.logs_kept
        ) as supervisor:
            # while the modules of the processes are imported by the process that forks them
            from workers.embedded.redis_server import PrivateRedis  # noqa: PLC0415 -- as above

            port, gateway_port = _ports(settings)
            redis = PrivateRedis(settings.home, lines=of_redis)
            supervisor.begin([redis.service()])
            # while Redis loads its data
            from workers.embedded.stack import published, services  # noqa: PLC0415 -- as above
            from workers.processes.measuring import shared_folder  # noqa: PLC0415 -- as above
            from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

            here = settings.model_copy(update={
                "redis_url": redis.url, "broker_url": settings.broker_url or redis.broker_url, "flower_port": port,
                "gateway_port": gateway_port, "gateway_host": "127.0.0.1", "flower_auth": flower_auth(settings),
                "flower_url": settings.flower_url or f"http://127.0.0.1:{port}",
            })  # fmt: skip
            key = _home_key(settings)
            wiring, flower = Wiring(here), f"http://127.0.0.1:{port}"
            _prepare_first(settings, wiring, lambda: supervisor.start([]))
            if settings.broker_url is not None:
                from workers.embedded.broker import await_broker  # noqa: PLC0415 -- as above

                await_broker(wiring.publisher, messages.print)
            shared_folder(settings.home).clear()  # of an earlier stack, perhaps of another version
            supervisor.start([])  # until Redis is ready
            here = in_use(here)  # which the home may not know: a switch was killed before it noted that
            wiring = Wiring(here)
            wiring.layout.require()
            wiring.health.clear()
            wiring.models_in_use.clear()
            _go_on(wiring)
            supervisor.start(
                services(here, redis, port, devices),
                {
                    "redis": redis.url,
                    "broker": here.broker,
                    **({"broker_ca_file": str(here.broker_ca_file.absolute())} if here.broker_ca_file else {}),
                    "inbox": str(here.inbox_folder),
                    **({"output": str(here.output_folder.absolute())} if here.output_folder else {}),
                    "flower": flower,
                    "gateway": f"http://127.0.0.1:{here.gateway_port}",
                },
                published(settings),
            )
            yield _Up(wiring, flower, key, supervisor.watch, supervisor.run)
    except KeyboardInterrupt:
        messages.print("Stopped.")
        raise typer.Exit(130) from None
    except subprocess.CalledProcessError as exc:
        raise typer.Exit(130 if exc.returncode < 0 else 1) from None


def _prepare_first(settings: Settings, wiring: Wiring, await_redis: Callable[[], object]) -> None:
    """Prepare what a first start needs. ``wiring``: with the addresses of the stack."""
    from workers.embedded.stack import command  # noqa: PLC0415 -- as above
    from workers.settings.process_environment import environment_of  # noqa: PLC0415 -- as above
    from workers.wiring.captions import prepared  # noqa: PLC0415 -- as above
    from workers.wiring.tuning import is_untuned  # noqa: PLC0415 -- as above

    if is_untuned(settings) or not prepared(settings):
        await_redis()
        wiring.layout.require()  # what is refused anyway is refused before minutes of work
        # in a process of its own, whose end frees the memory of the text encoder
        subprocess.run(command("prepare"), env=environment_of("prepare", wiring.settings), check=True)


def _go_on(wiring: Wiring) -> None:
    """End a drain, because who starts a stack wants it to work. Raises ``EncoderChanged`` for a wrong encoder."""
    from workers.wiring.encoder_change import note_in_home  # noqa: PLC0415 -- as above
    from workers.wiring.encoder_in_use import require_in_use  # noqa: PLC0415 -- as above

    if (chosen := wiring.encoders.in_use()) is not None:
        note_in_home(wiring.settings, chosen)  # the home may be a restored one
    require_in_use(wiring)
    if (draining := wiring.drain.read()) is not None:
        wiring.drain.end()
        messages.print(f"The drain since {local_time(draining.since)} is over.")


def _require_inbox(settings: Settings) -> None:
    if settings.inbox is None:
        settings.inbox_folder.mkdir(exist_ok=True)
    elif not settings.inbox.is_dir():
        # not created: in place of an unmounted disk it would hide the fault, and hold all removals
        raise Permanent(f"the inbox {settings.inbox} is not an existing folder: create it, or change WILDTAG_INBOX")


def _home_key(settings: Settings) -> str | None:
    from workers.gateway.home_key import create_home_key  # noqa: PLC0415 -- as above

    try:
        return create_home_key(settings.home)
    except OSError as exc:  # the stack works without it
        messages.print(f"[yellow]No key for administration: {escape(str(exc))}[/]")
        return None


def _offer(key: str, here: Settings) -> None:
    """Print the link that signs the page in as administrator, if only a person can see it."""
    from workers.gateway.home_key import FILE as HOME_KEY_FILE  # noqa: PLC0415 -- as above

    if console.is_terminal:  # a fragment is not sent, and the page removes it from the address
        link = f"http://127.0.0.1:{here.gateway_port}/#key={key}"
        console.print("to administer it  ", end="", markup=False, highlight=False)
        console.print(link, style="bold", markup=False, highlight=False, soft_wrap=True)
    else:  # the output may be a log that others can read
        console.print(f"to administer it, use the API key in [bold]{escape(str(here.home / HOME_KEY_FILE))}[/]")


def _ports(settings: Settings) -> tuple[int, int]:
    """The ports of Flower and of the gateway, claimed.

    A port that was set must be free. A default port that is in use is replaced by a free one, and a message says so.
    """
    from workers.embedded.ports import free_port, required_port  # noqa: PLC0415 -- keeps the command line quick

    moved: list[str] = []

    def claimed(setting: str, wanted: int, service: str) -> int:
        if setting in settings.model_fields_set:
            return required_port(wanted, setting)
        port = free_port(wanted, claim=True)
        if port != wanted:
            moved.append(f"Port {wanted} is in use; {service} uses port {port}.")
        return port

    flower = claimed("flower_port", settings.flower_port or FLOWER_PORT, "Flower")
    gateway = claimed("gateway_port", settings.gateway_port, "the gateway")
    for one in moved:
        messages.print(one)
    return flower, gateway


def add_to(app: typer.Typer) -> None:
    """Register this module's commands."""
    for command in (up, demo, prepare):
        app.command(rich_help_panel=RUN)(command)
