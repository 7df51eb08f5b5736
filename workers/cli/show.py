"""Print records: as a table for people, or as one JSON object per line for programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from rich.table import Table

from tasks.message_parts import Tag, Unknown, place_of
from workers.cli.console import Footnotes, clean, console
from workers.lifecycle.record import Error, Record, RecordBody, State
from workers.lifecycle.record_view import FULL, View


def table() -> Table:
    """An empty table of records."""
    view = Table(expand=False, pad_edge=False, show_lines=False)
    view.add_column("photo", overflow="fold", style="bold")
    view.add_column("tags (confidence or score)", overflow="fold", ratio=3)
    view.add_column("best caption (similarity)", overflow="fold", ratio=2)
    return view


def print_table(records: Sequence[RecordBody]) -> None:
    """A table of records, if there are any, and the notes below it."""
    notes = Footnotes((record.error.reason for record in records if record.error), "files")
    view = table()
    for record in records:
        add_row(view, record, notes)
    if records:
        console.print(view)
        notes.print()


def add_row(view: Table, record: RecordBody, notes: Footnotes | None = None) -> None:
    """One record as a row. ``notes``: of the table."""
    if record.error:
        view.add_row(named(record), _why(record.state, record.error, notes), "")
        return
    best = [f"{clean(hit.caption)} [dim]{hit.similarity:.2f}[/]" for hit in record.evidence[:1]]
    view.add_row(named(record), _tags(record), *best)


def named(record: RecordBody, before: str = "\n", after: str = "") -> str:
    """The key, and what an uploaded file was called unless the key ends so; safe to print.

    ``before``, ``after``: what is put around the name.
    """
    called = record.file_name
    if not called or record.key.rpartition("/")[2] == called:
        return clean(record.key)
    return f"{clean(record.key)}[dim]{before}{clean(called)}{after}[/]"


def show(records: Iterable[Record], *, json: bool, view: View = FULL) -> int:
    """Print records. Returns how many there were. ``view``: how much of each in JSON."""
    if json:
        count = 0
        for record in records:
            print_json(record, view)
            count += 1
        return count
    found = list(records)
    print_table(found)
    return len(found)


def print_json(record: Record, view: View = FULL) -> None:
    """A record as one line of JSON, not wrapped and not coloured."""
    console.out(view.json(record).decode(), highlight=False)


def line(record: RecordBody) -> str:
    """A record in one line of markup."""
    name = named(record, " (", ")")
    if record.error:
        return f"[bold]{name}[/]  {_why(record.state, record.error)}"
    return f"[bold]{name}[/]  {_tags(record)}"


def _why(state: State, error: Error, notes: Footnotes | None = None) -> str:
    reason = clean(error.reason) if notes is None else notes.cell(error.reason)
    return f"[{'dim' if state == 'skipped' else 'red'}]{state}[/]: {reason}"


def _tags(record: RecordBody) -> str:
    tags = ", ".join(map(_tag, record.tags))
    return (tags or f"[yellow]unknown[/]{_because(record.unknown_because)}") + _parts(record) + _notes(record)


def _notes(record: RecordBody) -> str:
    """What may be wrong with the file, and why the tags are from before."""
    found = record.media.warnings if record.media else ()
    failed = record.retag_error
    again = f"; [yellow]not tagged again[/]: {clean(failed.reason)}" if failed else ""
    return again + "".join(f"; [yellow]warning[/]: {clean(one.reason)}" for one in found)


def _tag(tag: Tag) -> str:
    """A tag with its strength, or with who said so: a person, or an example that the image looks like."""
    if tag.source == "person":
        return f"{clean(tag.label)} [dim](you)[/]"
    if tag.example is not msgspec.UNSET:
        key = place_of(tag.example.object_id)[1]
        return f"{clean(tag.label)} [dim]{tag.strength:.2f} (like {clean(key)})[/]"
    return f"{clean(tag.label)} [dim]{tag.strength:.2f}[/]"


def _parts(record: RecordBody) -> str:
    """The labels of segments that are no tags, by which the image is found, too; or why it was not segmented."""
    segmentation = record.segmentation
    if segmentation is None:
        return ""
    if segmentation.error is not None:
        return f"; [yellow]not segmented[/]: {clean(segmentation.error.reason)}"
    tags = {tag.label for tag in record.tags}
    labels = dict.fromkeys(segment.label for segment in segmentation.segments if segment.label not in tags)
    return f"; segments: {', '.join(map(clean, labels))}" if labels else ""


def _below(value: float, least: float) -> str:
    """A value and the minimum that it misses, with as many digits as tell them apart."""
    digits = next((n for n in range(2, 6) if f"{value:.{n}f}" != f"{least:.{n}f}"), 6)
    return f" {value:.{digits}f}, minimum {least:.{digits}f}"


def _because(why: Unknown | None) -> str:
    """Why an image is unknown, with a colon before it; empty for a record of an older version."""
    if why is None:
        return ""
    missed = "" if why.value is None or why.least is None else _below(why.value, why.least)
    best = f"best tag {clean(why.label or '')}{missed}"
    reasons = {
        "featureless": "the image shows nothing (one colour, blur or noise)",
        "no-captions": "there are no captions",
        "no-near-caption": f"nearest caption{missed}",
        "low-score": f"{best} (score)",
        "low-evidence": f"{best} (similarity of its best caption)",
        "low-confidence": best,
        "rejected": "its tags were rejected",
    }
    return f": [dim]{reasons[why.code]}[/]" if why.code in reasons else f": [dim]{clean(why.code)}[/]"
