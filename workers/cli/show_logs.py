"""``logs``: what the processes of a stack write."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.markup import escape

from workers.cli.console import messages
from workers.cli.panels import OPERATE
from workers.settings.settings import Settings

if TYPE_CHECKING:
    from workers.supervision.log_reader import LogReader
    from workers.telemetry.selection import Selection

Show = Callable[[str, str], None]
EVERY_S = 0.3


def logs(
    names: Annotated[
        list[str] | None, typer.Argument(help="Processes, such as dispatcher or worker-embedding; default: all.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C, across rotations.")] = False,
    lines: Annotated[
        int | None,
        typer.Option("--lines", "-n", min=0, help="Last lines of each log to begin with. Default: 20; all of those"
                     " that are chosen."),
    ] = None,
    request: Annotated[
        str | None,
        typer.Option(help="Lines of this request and of its images: its id is in the header X-Request-Id."),
    ] = None,
    object_: Annotated[
        str | None, typer.Option("--object", help="Lines that name this object: BUCKET/KEY, or its KEY.")
    ] = None,
) -> None:  # fmt: skip
    """Print the logs of the stack of this home, also of one that has stopped."""
    from workers.supervision.log_reader import LogReader  # noqa: PLC0415 -- keeps the command line quick
    from workers.telemetry.selection import Selection  # noqa: PLC0415 -- as above

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
    selection = None if request is None and object_ is None else Selection(request, object_)

    def show(name: str, line: str) -> None:
        _print(name, line, width)

    if selection is None:
        for name, reader in readers.items():
            for line in reader.last(20 if lines is None else lines):
                show(name, line)
    else:
        # what the others say of the request tells which objects it has
        _chosen(folder, known, list(readers), selection, lines, show)
    if follow:
        _follow(readers, selection, show)


def _follow(readers: Mapping[str, LogReader], selection: Selection | None, show: Show) -> NoReturn:
    if selection is not None:
        for reader in readers.values():
            reader.last(0)
    try:
        while True:
            for name, reader in readers.items():
                for line in reader.new():
                    if selection is None or selection.has(line):
                        show(name, line)
            time.sleep(EVERY_S)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _chosen(
    folder: Path, known: list[str], names: list[str], selection: Selection, count: int | None,
    show: Show,
) -> None:  # fmt: skip
    """Print the chosen lines of all logs, also of those that were rotated, by time."""
    found: list[tuple[str, str, str]] = []
    files = [(name, file) for name in known for file in reversed([*_rotated(folder, name)])]
    for _, file in files:
        selection.learn(_lines(file))
    for name, file in files:
        if name in names:
            found += [(at, name, line) for line in _lines(file) if (at := selection.time_of(line)) is not None]
    found.sort(key=lambda one: one[0])
    for _, name, line in found if count is None else found[len(found) - count :]:
        show(name, line)


def _rotated(folder: Path, name: str) -> list[Path]:
    """The log of a process, then the older ones."""
    older = sorted(
        folder.glob(f"{name}.log.*"), key=lambda file: int(file.suffix[1:]) if file.suffix[1:].isdecimal() else 0
    )
    return [folder / f"{name}.log", *older]


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(errors="replace").split("\n")
    except FileNotFoundError:  # it was rotated meanwhile
        return []


def _print(name: str, line: str, width: int) -> None:
    shown = "".join(one if one.isprintable() or one == "\t" else "\N{REPLACEMENT CHARACTER}" for one in line)
    typer.echo(f"{name:{width}} | {shown}" if width else shown)


def add_to(app: typer.Typer) -> None:
    """Register this module's command."""
    app.command(rich_help_panel=OPERATE)(logs)
