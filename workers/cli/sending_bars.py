"""Bars on standard error: the bytes of each upload that is under way, and the files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import BinaryIO

from rich.console import Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)

from workers.cli.show import messages


class SendingBars:
    """For ``total`` files; ``what`` they will be, as "uploaded"."""

    def __init__(self, total: int, what: str) -> None:
        self._bytes = Progress(TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        self._files = Progress(
            TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("[dim]{task.description}[/]"),
        )  # fmt: skip
        self._task = self._files.add_task("", total=total)

    def shown(self, hidden: bool) -> Live | nullcontext[None]:
        """Show them, unless ``hidden``, until the end of the block."""
        return nullcontext() if hidden else Live(Group(self._bytes, self._files), console=messages, transient=True)

    @contextmanager
    def reading(self, file: BinaryIO, size: int, name: str) -> Iterator[BinaryIO]:
        """A file whose bytes are counted as they are read, and again when they have to be read again."""
        task = self._bytes.add_task(name, total=size)
        try:
            yield self._bytes.wrap_file(file, total=size, task_id=task)
        finally:
            self._bytes.remove_task(task)

    def advance(self, last: str) -> None:
        """One file more."""
        self._files.update(self._task, advance=1, description=last)
