"""Print records: as a table for people, or as one JSON object per line for programs."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tasks.messages import Unknown
from workers.lifecycle.record import Error, Record, State

console = Console()
messages = Console(stderr=True)


def clean(name: str) -> str:
    """Escape untrusted text for printing: no markup, no control or bidirectional characters."""
    return escape("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name))


def table() -> Table:
    """An empty table of records."""
    view = Table(expand=False, pad_edge=False, show_lines=False)
    view.add_column("photo", overflow="fold", style="bold")
    view.add_column("tags (confidence or score)", overflow="fold", ratio=3)
    view.add_column("best caption (similarity)", overflow="fold", ratio=2)
    return view


def add_row(view: Table, record: Record) -> None:
    """One record as a row."""
    if record.error:
        view.add_row(clean(record.key), _why(record.state, record.error), "")
        return
    best = [f"{clean(hit.caption)} [dim]{hit.similarity:.2f}[/]" for hit in record.evidence[:1]]
    view.add_row(clean(record.key), _tags(record), *best)


def show(records: Iterable[Record], *, json: bool) -> int:
    """Print records. Returns how many there were."""
    if json:
        count = 0
        for record in records:
            print_json(record)
            count += 1
        return count
    view = table()
    for record in records:
        add_row(view, record)
    if view.row_count:
        console.print(view)
    return view.row_count


def print_json(record: Record) -> None:
    """One line of JSON, not wrapped and not coloured."""
    console.out(record.json().decode(), highlight=False)


def line(record: Record) -> str:
    """A record in one line of markup."""
    if record.error:
        return f"[bold]{clean(record.key)}[/]  {_why(record.state, record.error)}"
    return f"[bold]{clean(record.key)}[/]  {_tags(record)}"


def _why(state: State, error: Error) -> str:
    return f"[{'dim' if state == 'skipped' else 'red'}]{state}[/]: {clean(error.reason)}"


def _tags(record: Record) -> str:
    tags = ", ".join(f"{clean(tag.label)} [dim]{tag.strength:.2f}[/]" for tag in record.tags)
    return tags or f"[yellow]unknown[/]{_because(record.unknown_because)}"


def _because(why: Unknown | None) -> str:
    """Why an image is unknown, with a colon before it; empty for a record of an older version."""
    if why is None:
        return ""
    missed = "" if why.value is None or why.least is None else f" {why.value:.2f}, minimum {why.least:.2f}"
    best = f"best tag {clean(why.label or '')}{missed}"
    reasons = {
        "featureless": "the image shows nothing (one colour, blur or noise)",
        "no-captions": "there are no captions",
        "no-near-caption": f"nearest caption{missed}",
        "low-score": f"{best} (score)",
        "low-confidence": best,
    }
    return f": [dim]{reasons[why.code]}[/]" if why.code in reasons else f": [dim]{clean(why.code)}[/]"
