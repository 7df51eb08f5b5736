"""``doctor``: check this machine, and say how to install what is missing."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
import typer
from rich.markup import escape
from rich.table import Table

from workers.cli.console import console
from workers.cli.panels import OPERATE
from workers.settings.settings import Settings

MARKS = {True: "[green]ok[/]", False: "[red]failed[/]", None: "[yellow]note[/]"}


def doctor(
    env_file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Also check the names in this env file of Compose."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """Check this machine and the running stack, and say how to fix what fails. Exit status 1: a check failed."""
    from workers.diagnostics.broker_check import broker_check  # noqa: PLC0415 -- keeps the command line quick
    from workers.diagnostics.clock_checks import clock_checks  # noqa: PLC0415 -- as above
    from workers.diagnostics.device_checks import device_checks, tuning_check  # noqa: PLC0415 -- as above
    from workers.diagnostics.doctor import examine  # noqa: PLC0415 -- keeps the command line quick
    from workers.diagnostics.env_file import check_env_file  # noqa: PLC0415 -- as above
    from workers.diagnostics.threshold_checks import threshold_checks  # noqa: PLC0415 -- as above
    from workers.diagnostics.upgrade_checks import upgrade_checks  # noqa: PLC0415 -- as above
    from workers.wiring.captions import prepared, thresholds_in_force  # noqa: PLC0415 -- as above
    from workers.wiring.liveness import ages_at, offsets_at, upgrades_at  # noqa: PLC0415 -- as above
    from workers.wiring.model_devices import device_finder, models_of_stack  # noqa: PLC0415 -- as above
    from workers.wiring.tuning import on_cpu, read_tuning  # noqa: PLC0415 -- as above
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

    os.environ["HF_HUB_OFFLINE"] = "1"  # a check downloads nothing
    settings = Settings()

    def reach() -> None:
        Wiring(settings).publisher.reach()

    checks = [
        *examine(settings, prepared, ages_at),
        *clock_checks(_redis_of(settings), lambda url: offsets_at(settings, url)),
        *upgrade_checks(_redis_of(settings), lambda url: upgrades_at(settings, url), time.time),
        *broker_check(settings.broker_url, reach),
        *device_checks(settings.device, device_finder(settings), lambda: models_of_stack(settings)),
        *tuning_check(settings.runtime, settings.encoder, lambda: read_tuning(settings), on_cpu=on_cpu(settings)),
        *threshold_checks(lambda: thresholds_in_force(settings)),
        *(check_env_file(env_file, Settings.model_fields) if env_file else ()),
    ]
    if json:
        for check in checks:
            console.out(msgspec.json.encode(check).decode(), highlight=False)
    else:
        view = Table(show_header=False, box=None, pad_edge=False)
        for check in checks:
            remedy = f"\n[bold]{escape(check.remedy)}[/]" if check.remedy and check.ok is not True else ""
            view.add_row(MARKS[check.ok], escape(check.name), escape(check.detail) + remedy)
        console.print(view)
        console.print("\nSettings:")
        for name, value in _in_force(settings).environment().items():
            shown = re.sub(r"(?<=://)([^:@/]*:)[^/]*(?=@)", r"\1***", value)  # a password in a URL
            shown = "***" if settings.is_secret(name) else shown
            console.print(f"  {name}={shown}", style="dim", markup=False, highlight=False)
    if any(check.ok is False for check in checks):
        raise typer.Exit(1)


def _redis_of(settings: Settings) -> str | None:
    """The URL of the Redis of the running stack, or of that of the environment."""
    from workers.embedded.stack import running  # noqa: PLC0415 -- keeps the command line quick

    up = settings if "redis_url" in settings.model_fields_set else running(settings)
    return None if up is None else up.redis_url


def _in_force(settings: Settings) -> Settings:
    """The settings, with the ports that the running stack of this home listens on."""
    from workers.supervision.supervisor import read_stack  # noqa: PLC0415 -- keeps the command line quick

    info = read_stack(settings.home)
    addresses = info.addresses if info else {}
    ports = {f"{name}_port": urlsplit(addresses[name]).port for name in ("gateway", "flower") if name in addresses}
    return settings.model_copy(update=ports)


def add_to(app: typer.Typer) -> None:
    """Register this module's commands."""
    app.command(rich_help_panel=OPERATE)(doctor)
