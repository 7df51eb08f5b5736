"""``wildtag tune``: measure the encoder on this machine."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.markup import escape
from rich.table import Table

from workers.cli.connection import home_settings
from workers.cli.console import console, messages
from workers.cli.panels import OPERATE
from workers.settings.settings import Settings

if TYPE_CHECKING:
    from tasks.encoders.tuning.remembered import Measured, Tuning


def tune(
    encoder: Annotated[str | None, typer.Option(help="Encoder. Default: WILDTAG_ENCODER.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the measurements as JSON.")] = False,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Also measure more sizes, int8 and torch.compile. Takes minutes.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Measure again what is remembered.")] = False,
) -> None:
    """Measure which runtime and batch are fastest for the encoder on this machine, and remember them.

    Vectors are compared with those of float32 on photographs and captions. A running worker uses the result after its
    next start.
    """
    from workers.wiring import tuning as wired  # noqa: PLC0415 -- keeps the command line quick

    settings = home_settings(None if encoder is None else Settings(encoder=encoder))
    if not wired.on_cpu(settings) and _accelerated(settings):
        _show_device(settings, json=json)
        return
    found = None if again or thorough else wired.read_tuning(settings)
    if found is None:
        messages.print("Measuring … other programs should be idle.")
        found = wired.tune(settings, _say, thorough=thorough)
    else:
        messages.print("Remembered. To measure again: wildtag tune --again")
    if json:
        console.out(msgspec.json.encode(found).decode(), highlight=False)
    else:
        console.print(_table(found))


def _say(one: Measured) -> None:
    messages.print(f"[dim]{one.side}s: {escape(str(one.plan))}[/]", highlight=False)


def _table(found: Tuning) -> Table:
    table = Table("", "candidate", "per second", "times the usual", "least cosine", "largest difference", "")
    for one in found.measured:
        figures = [""] * 4
        if one.rate:
            times = f"{one.times:.2f}" if one.times else ""
            figures = [f"{one.rate:,.1f}", times, f"{one.cosine:.5f}", f"{one.difference:.1e}"]
        result = escape(one.refused)
        if found.plans[one.side] == one.plan:
            result = "[green]chosen[/]" if one.rate else f"[green]chosen[/], as usual; {result}"
        table.add_row(f"{one.side}s", escape(str(one.plan)), *figures, result)
    return table


def _accelerated(settings: Settings) -> bool:
    from tasks.encoders.devices import choose  # noqa: PLC0415 -- takes seconds

    return choose(settings.device).accelerated


def _show_device(settings: Settings, *, json: bool) -> None:
    """On an accelerator, the number format follows from the device, and the batch is measured at each load."""
    from tasks.encoders.protocols import Described  # noqa: PLC0415 -- as above
    from workers.wiring.models import image_encoder, text_encoder_loader  # noqa: PLC0415 -- as above

    loaded = {"image": image_encoder(settings), "text": text_encoder_loader(settings)()}
    described = {side: one.description for side, one in loaded.items() if isinstance(one, Described)}
    if json:
        listed = {side: asdict(one) for side, one in described.items()}
        console.out(msgspec.json.encode(listed).decode(), highlight=False)
        return
    for side, one in described.items():
        console.print(f"{side}s: {escape(str(one))}", highlight=False)
    messages.print("On an accelerator, batches are measured whenever a model is loaded.")


def add_to(app: typer.Typer) -> None:
    """Register this module's command."""
    app.command(rich_help_panel=OPERATE)(tune)
