"""Encode the starter captions and measure the encoder, for commands that need them, and say what takes time."""

from __future__ import annotations

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vectordb.errors import WildtagError
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
        said: set[str] = set()

        def progress(doing: str, done: int, total: int) -> None:
            if not messages.is_terminal:  # a log: no bar is drawn before the end
                if doing not in said:
                    said.add(doing)
                    messages.print(f"{doing} (first start only, minutes in all) …", highlight=False)
                return
            bars.update(bar, description=f"{doing} (first start only)", completed=done, total=total, visible=True)

        captions.prepare_captions(settings, progress)


def tune_encoder(settings: Settings) -> None:
    """Measure the encoder, unless that has been done or ``WILDTAG_TUNE`` is off. Says so in one line."""
    from workers.wiring.tuning import is_untuned, tune  # noqa: PLC0415 -- as above

    if not is_untuned(settings):
        return
    messages.print("Measuring the encoder on this machine (first start only, about 20 s at most) …")
    try:
        tuning = tune(settings, lambda _: None, at_start=True)
    except WildtagError as exc:  # what loads the encoder for its work says what to do
        messages.print(f"[yellow]The encoder was not measured: {escape(str(exc))}[/]", soft_wrap=True)
        return
    plans = "; ".join(f"{side}s {tuning.described(side)}" for side in tuning.plans)
    messages.print(f"Chosen: {escape(plans)}. To measure more: wildtag tune --again", soft_wrap=True)
