"""``logs``: what the processes of a stack write."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.markup import escape

from workers.cli.console import messages
from workers.cli.panels import OPERATE
from workers.settings.settings import Settings

EVERY_S = 0.3


def logs(
    names: Annotated[
        list[str] | None, typer.Argument(help="Processes, such as dispatcher or worker-embedding; default: all.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C, across rotations.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Last lines of each log to begin with.")] = 20,
) -> None:
    """Print the logs of the stack of this home, also of one that has stopped."""
    from workers.supervision.log_reader import LogReader  # noqa: PLC0415 -- keeps the command line quick

    folder = Settings().home / "logs"
    known = sorted(file.stem for file in folder.glob("*.log")) if folder.is_dir() else []
    if unknown := sorted(set(names or ()) - set(known)):
        raise typer.BadParameter(
            f"no log of {', '.join(unknown)} in {folder}; there are: {', '.join(known) or 'none'}"
        )
    if not known:
        messages.print(f"There are no logs in {escape(str(folder))}: no stack has run in this home.", soft_wrap=True)
        raise typer.Exit(1)
    readers = {name: LogReader(folder / f"{name}.log") for name in names or known}
    width = max(map(len, readers)) if len(readers) > 1 else 0
    for name, reader in readers.items():
        for line in reader.last(lines):
            _print(name, line, width)
    try:
        while follow:
            for name, reader in readers.items():
                for line in reader.new():
                    _print(name, line, width)
            time.sleep(EVERY_S)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _print(name: str, line: str, width: int) -> None:
    shown = "".join(one if one.isprintable() or one == "\t" else "\N{REPLACEMENT CHARACTER}" for one in line)
    typer.echo(f"{name:{width}} | {shown}" if width else shown)


def add_to(app: typer.Typer) -> None:
    """Register this module's command."""
    app.command(rich_help_panel=OPERATE)(logs)
