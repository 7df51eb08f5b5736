"""``captions thresholds``: derive the thresholds of a version that has none, or derive them again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.markup import escape
from rich.table import Table

from workers.cli.connection import home_settings
from workers.cli.console import console, messages
from workers.settings.settings import Settings

if TYPE_CHECKING:
    from workers.captions.thresholds_in_force import ThresholdInForce


def thresholds(
    name: Annotated[str | None, typer.Argument(metavar="NAME[@VERSION]", help="Default: the version in use.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Derive the thresholds of a version without labels, store them with it, and show those in force.

    Imports do this themselves. It loads both encoders and reads every vector once. The thresholds of the bundled
    encoder are measured; they are only shown.
    """
    from workers.embedded.caption_access import open_captions  # noqa: PLC0415 -- keeps the command line quick
    from workers.wiring.captions import deriving, thresholds_in_force  # noqa: PLC0415 -- as above
    from workers.wiring.models import text_encoder_loader  # noqa: PLC0415 -- as above
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

    settings = home_settings()
    wiring = Wiring(settings)
    library, space = wiring.library, wiring.space
    derive = deriving(settings, space, text_encoder_loader(settings))
    with open_captions(settings, name) as here:
        version = here.captions_version
        derived = derive(here.index) if derive else None
    manifest = library.set_thresholds(space.id, version, derived) if derived else library.find(space.id, version)
    found = thresholds_in_force(settings, space, manifest)
    if json:
        body = {"captions_version": version, "thresholds": as_json(found)}
        console.out(msgspec.json.encode(body).decode(), highlight=False)
    else:
        console.print(table_of(found))
    if not derive:
        messages.print("Nothing is derived: the thresholds of this encoder are measured.")
    else:  # also where workers on other machines have the captions open
        messages.print("A running stack uses them when it was restarted.")


def as_json(found: Iterable[ThresholdInForce]) -> list[dict[str, Any]]:
    """The thresholds as JSON values."""
    return [{**asdict(one), "numbers": dict(one.numbers)} for one in found]


def table_of(found: Iterable[ThresholdInForce]) -> Table:
    """The thresholds, each with its origin and what it was derived from."""
    view = Table(pad_edge=False)
    view.add_column("threshold", no_wrap=True)
    view.add_column("value", justify="right", no_wrap=True)
    view.add_column("from", no_wrap=True)
    view.add_column("", overflow="fold")
    for one in found:
        value = "off" if one.value is None else f"{one.value:.3f}"
        numbers = ", ".join(f"{name.replace('_', ' ')} {number:g}" for name, number in one.numbers.items())
        detail = escape(one.detail) + (f"\n[dim]{escape(numbers)}[/]" if numbers else "")
        view.add_row(one.name, value, "" if one.origin == "off" else one.origin, detail)
    return view


def note_missing(settings: Settings, captions_version: str) -> None:
    """Say so if thresholds can be derived for a version and are not."""
    from workers.captions.thresholds_in_force import NOT_DERIVED  # noqa: PLC0415 -- keeps the command line quick
    from workers.wiring.captions import thresholds_in_force  # noqa: PLC0415 -- as above
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

    wiring = Wiring(settings)
    manifest = wiring.library.find(wiring.space.id, captions_version)
    if manifest and any(one.detail == NOT_DERIVED for one in thresholds_in_force(settings, wiring.space, manifest)):
        messages.print(
            "[yellow]No thresholds are derived for these captions:[/] every image gets tags. To derive them, run:"
            f" wildtag captions thresholds {escape(captions_version)}",
            soft_wrap=True, highlight=False,
        )  # fmt: skip


def add_to(app: typer.Typer) -> None:
    """Register this module's command."""
    app.command()(thresholds)
