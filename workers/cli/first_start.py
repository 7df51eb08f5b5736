"""Encode the starter captions with a progress bar, for commands that need them."""

from __future__ import annotations

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from workers.cli.console import messages
from workers.settings.settings import Settings


def prepare_captions(settings: Settings) -> None:
    """See ``workers.wiring.captions.prepare_captions``. Shows nothing if the captions are encoded already."""
    from workers.wiring import captions  # noqa: PLC0415 -- keeps the command line quick

    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=messages
    ) as bars:
        bar = bars.add_task("", total=None, visible=False)

        def progress(doing: str, done: int, total: int) -> None:
            bars.update(bar, description=f"{doing} (first start only)", completed=done, total=total, visible=True)

        captions.prepare_captions(settings, progress)
