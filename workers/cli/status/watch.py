"""``status --watch``: an overview again and again, also while the stack is away, until Ctrl-C."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from vectordb.errors import WildtagError
from workers.cli.console import clean, console
from workers.cli.status import lines, reached

if TYPE_CHECKING:
    from workers.cli.status.overview import Overview, OverviewReader


class Watch:
    """Reads one overview after the other, from a stack that may go away, come back, and be another one then."""

    def __init__(self, reader: OverviewReader, connect: Callable[[], OverviewReader] = reached.reader) -> None:
        self._reader: OverviewReader | None = reader
        self._connect = connect
        self.last: Overview | None = None

    def read(self, interval_s: float) -> tuple[Overview | None, str]:
        """An overview, or ``None`` and why there is none."""
        try:
            self._reader = self._reader or self._connect()
            found = self._reader.read(interval_s)
        except reached.NoStack as exc:
            self._reader = None
            return None, str(exc)
        except (WildtagError, ValueError, OSError) as exc:  # another version was started, or its settings are wrong
            self._reader = None
            return None, reached.why(exc)
        if found.away:
            self._reader = None  # when it comes back, it may have another address, or other data
            return found, "; ".join(f"{one.name} is unavailable: {one.reason}" for one in found.outages)
        self.last = found
        return found, ""


def run(watch: Watch, interval_s: float, *, json: bool) -> None:
    """Show or print until Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the terminal gets its cursor back
    try:
        if json:
            _print_json(watch, interval_s)
        elif console.is_terminal:
            _show(watch, interval_s)
        else:
            _print(watch, interval_s)
    except KeyboardInterrupt:
        return


def _show(watch: Watch, interval_s: float) -> None:
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        for found, trouble in _readings(watch, interval_s):
            live.update(_screen(watch, found, trouble, interval_s), refresh=True)


def _screen(watch: Watch, found: Overview | None, trouble: str, interval_s: float) -> RenderableType:
    """What is seen now, or the last that was, with why it is old."""
    now = f"{datetime.now().astimezone():%H:%M:%S}"
    if trouble:
        seen = watch.last
        said = Text(f"{now}  {trouble}", style="red")
        if seen is None:
            return said
        at = datetime.fromtimestamp(seen.at).astimezone()
        old = Text(f"What follows is of {at:%H:%M:%S}. Waiting until it answers again; Ctrl-C ends.", style="yellow")
        return Group(said, old, Text(), lines.view_of(seen))
    if found is None:
        return Text(now)
    wrong = [Text.from_markup(one) for one in lines.warnings(found)]
    head = Text(f"{now}  every {interval_s:g} s; Ctrl-C ends", style="dim")
    return Group(head, *wrong, Text(), lines.view_of(found))


def _print(watch: Watch, interval_s: float) -> None:
    for found, trouble in _readings(watch, interval_s):
        console.print(f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S%z}", highlight=False)
        if trouble or found is None:
            console.print(clean(trouble), soft_wrap=True)
        else:
            for one in lines.warnings(found):
                console.print(one, soft_wrap=True)
            console.print(lines.view_of(found))
        console.print()


def _print_json(watch: Watch, interval_s: float) -> None:
    for found, trouble in _readings(watch, interval_s):
        body = {"at": None, "error": trouble} if found is None else found.row()
        console.out(msgspec.json.encode(body).decode(), highlight=False)


def _readings(watch: Watch, interval_s: float) -> Iterator[tuple[Overview | None, str]]:
    while True:
        began = time.monotonic()
        yield watch.read(interval_s)
        time.sleep(max(0.0, interval_s - (time.monotonic() - began)))
