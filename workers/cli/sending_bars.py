"""Progress bars on standard error: the bytes of each upload in flight, and the number of files."""

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

from workers.cli.console import messages


class SendingBars:
    """For ``total`` files. ``what``: label of the bar of files, such as "uploaded"."""

    def __init__(self, total: int, what: str) -> None:
        self._bytes = Progress(TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        self._files = Progress(
            TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("[dim]{task.description}[/]"),
        )  # fmt: skip
        self._task = self._files.add_task("", total=total)

    def shown(self, hidden: bool) -> Live | nullcontext[None]:
        """Show the bars until the end of the block, unless ``hidden``."""
        return nullcontext() if hidden else Live(Group(self._bytes, self._files), console=messages, transient=True)

    @contextmanager
    def reading(self, file: BinaryIO, size: int, name: str) -> Iterator[BinaryIO]:
        """Wrap a file so that a bar counts its bytes as they are read. A retry counts them again."""
        task = self._bytes.add_task(name, total=size)
        try:
            yield self._bytes.wrap_file(file, total=size, task_id=task)
        finally:
            self._bytes.remove_task(task)

    def advance(self, last: str) -> None:
        """Count one more file; ``last``: its text beside the bar."""
        self._files.update(self._task, advance=1, description=last)
