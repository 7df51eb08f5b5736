"""``tag``: run all stages on files in this process, without a broker."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import track

from workers.cli.connection import home_settings
from workers.cli.console import messages
from workers.cli.files import expanded
from workers.cli.first_start import prepare_captions
from workers.cli.own_metadata import ClientId, Metadata, described
from workers.cli.panels import TAG
from workers.cli.show import print_json, print_table
from workers.lifecycle.record import Record

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]


def tag(
    files: Annotated[list[Path], typer.Argument(help="Image files; folders are searched recursively.")],
    client_id: ClientId = None,
    metadata: Metadata = None,
    json: Json = False,
) -> None:
    """Tag files in this process, without a running stack. Nothing is stored. Exit status 1: a file failed."""
    from workers.embedded.one_process import tagging  # noqa: PLC0415 -- as above
    from workers.wiring.captions import prepared  # noqa: PLC0415 -- keeps the command line quick

    settings = home_settings()
    paths, named = list(expanded(files)), {str(file) for file in files}
    user = described(client_id, metadata, len(paths))
    if not prepared(settings):
        prepare_captions(settings)
    shown: list[Record] = []
    failed = 0
    with tagging(settings) as tagger:
        batches = [paths[i : i + settings.batch_max] for i in range(0, len(paths), settings.batch_max)]
        for batch in track(batches, "tagging", console=messages, transient=True, disable=len(batches) < 2):
            for record in tagger.tag(batch, time.time(), user):
                # who names a file wants its tags; a folder may contain anything
                failed += record.state != "done" and (record.state != "skipped" or record.key in named)
                print_json(record) if json else shown.append(record)
    print_table(shown)
    if failed:
        messages.print(f"[red]{failed} of {len(paths)} files could not be tagged[/]")
        raise typer.Exit(1)


def add_to(app: typer.Typer) -> None:
    """Register this module's commands."""
    app.command(rich_help_panel=TAG)(tag)
