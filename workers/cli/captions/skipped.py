"""``captions skipped``: captions that are left out, since they end the process that reads them."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer
from rich.table import Table

from workers.cli.captions.keep import Json
from workers.cli.connection import home_settings
from workers.cli.console import clean, console, messages


def skipped(
    json: Json = False,
    retry: Annotated[
        bool, typer.Option("--retry", help="Read them again from now on, for example after an update of wildtag.")
    ] = False,
) -> None:
    """List captions that are skipped: extraction crashes, hangs or fails for them. Images are tagged without them."""
    from workers.lifecycle.times import rfc3339  # noqa: PLC0415 -- keeps the command line quick
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

    known = Wiring(home_settings()).skipped_captions
    if retry:
        count = known.forget()
        messages.print(f"{count:,} caption{'' if count == 1 else 's'} will be read again.")
        return
    found = known.all()
    if json:
        for one in found:
            row = {"captions_version": one.captions_version, "space_id": one.revision.partition("/")[0], "id": one.id,
                   "caption": one.caption, "reason": one.reason, "at": rfc3339(one.at)}  # fmt: skip
            console.out(msgspec.json.encode(row).decode(), highlight=False)
        return
    if not found:
        messages.print("No caption is skipped.")
        return
    view = Table("captions", "caption", "reason", pad_edge=False)
    for one in found:
        view.add_row(clean(one.captions_version), clean(one.caption), clean(one.reason))
    console.print(view)


def add_to(app: typer.Typer) -> None:
    """Register this module's command."""
    app.command()(skipped)
