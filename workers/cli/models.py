"""``wildtag models``: the encoders that can be chosen, and what each costs."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer
from rich.markup import escape

from workers.cli.connection import home_settings
from workers.cli.console import console, messages
from workers.cli.panels import OPERATE


def models(
    json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
) -> None:
    """List encoders with size, dimension, licence, and what is known of their quality and speed."""
    from tasks.encoders import BUNDLED  # noqa: PLC0415 -- as above
    from tasks.encoders.known import is_cached, known_models  # noqa: PLC0415 -- keeps the command line quick

    chosen, listed = home_settings().encoder, known_models()
    if json:
        entries = [
            {
                **msgspec.to_builtins(model),
                "download": model.download,
                "cached": is_cached(name),
                "chosen": name == chosen,
            }
            for name, model in listed.items()
        ]
        console.out(msgspec.json.encode({"models": entries}).decode(), highlight=False)
        return
    for name, model in listed.items():
        facts = [f"{model.dimension} dimensions", size(model.download) if model.download else "", model.licence]
        facts.append(f"ImageNet {model.imagenet:.1%}" if model.imagenet else "")
        facts.append(f"{model.ms:.0f} ms of CPU an image" if model.ms else "")
        marks = "  [green]chosen[/]" * (name == chosen) + "  [dim]downloaded[/]" * (
            is_cached(name) and name != BUNDLED
        )
        console.print(f"[bold]{escape(name)}[/]  {escape(model.title)}{marks}", highlight=False, soft_wrap=True)
        console.print(f"    {escape(', '.join(fact for fact in facts if fact))}", highlight=False, soft_wrap=True)
    if chosen not in listed:
        messages.print(f"Chosen: {escape(chosen)}, which is not in this list.")
    messages.print(
        "To use one: wildtag up --encoder NAME, or set WILDTAG_ENCODER for every command.", highlight=False
    )


def explain(name: str) -> None:
    """Say what choosing this encoder will download and compute, before anything is loaded."""
    from tasks.encoders import BUNDLED  # noqa: PLC0415 -- as above
    from tasks.encoders.known import is_cached, known_models  # noqa: PLC0415 -- as above

    model = known_models().get(name)
    if not is_cached(name):
        what = f"{size(model.download)}, licence {model.licence}" if model else "its size and licence are on its page"
        messages.print(f"Encoder {escape(name)}: downloaded once from the Hugging Face hub ({what}).", soft_wrap=True)
    if name != BUNDLED:
        messages.print(
            "Each encoder has a vector space of its own: captions are encoded for it at the first start. To use it"
            f" with other commands, too: export WILDTAG_ENCODER={escape(name)}",
            soft_wrap=True, highlight=False,
        )  # fmt: skip


def size(count: int) -> str:
    """A number of bytes, for people."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def add_to(app: typer.Typer) -> None:
    """Register this module's command."""
    app.command(rich_help_panel=OPERATE)(models)
