"""``teach`` and ``examples``: say what an image shows, and manage what was said."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import msgspec
import typer
from rich.markup import escape
from rich.table import Table

from tasks.labels.index_form import index_form
from tasks.message_parts import place_of
from vectordb.decoders import from_json
from vectordb.errors import Permanent
from workers.cli.connection import connected
from workers.cli.console import clean, console, messages
from workers.cli.panels import CAPTIONS
from workers.cli.show import line
from workers.lifecycle.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workers.images.teacher import Taught
    from workers.wiring.wiring import Wiring

SHOWN = 10  # images that look like one
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]
Key = Annotated[str, typer.Argument(help="Key of an image in the bucket.")]
Label = Annotated[str, typer.Argument(help="What the image shows, in your words.")]


LINE_MAX, LINES_MAX = 1 << 16, 1_000_000  # bytes of a line and lines of a file of examples


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line of exported examples. A misspelt field is refused: without its ``accepted`` a line would accept."""

    key: str
    label: str
    accepted: bool = True
    bucket: str = ""
    etag: str = ""
    said_at: str | float = 0.0  # RFC 3339, or the Unix seconds of older exports


class UnreadableExamples(Permanent):
    """A line of a file is not an example."""


def teach(
    key: Key,
    label: Label,
    reject: Annotated[bool, typer.Option("--reject", help="The image does not show this.")] = False,
    take_back: Annotated[bool, typer.Option("--take-back", help="Forget what was said of this label.")] = False,
    json: Json = False,
) -> None:
    """Say what an image shows. It keeps the label through every retag; images that look like it gain it, too."""
    if reject and take_back:
        raise typer.BadParameter("use --reject or --take-back, not both")
    from workers.images.teacher import NotTaggable  # noqa: PLC0415 -- keeps the command line quick
    from workers.wiring.operations import spellings, teacher  # noqa: PLC0415 -- as above

    wiring = connected()
    bucket = wiring.settings.bucket
    lookup = spellings(wiring)
    found = lookup.find(bucket, key)
    if take_back:
        _said(wiring, found, label)
    try:
        taught = teacher(wiring).say(bucket, found, label, None if take_back else not reject)
    except NotTaggable as exc:
        raise NotTaggable(f"{exc}{lookup.hint(bucket, found)}") from exc
    if json:
        near = [{"bucket": other, "key": name, "similarity": value} for other, name, value in taught.near]
        row = {"record": taught.record, "near": near, "problem": taught.problem}
        console.out(msgspec.json.encode(row).decode(), highlight=False)
        return
    _show(taught)


def _show(taught: Taught) -> None:
    console.print(line(taught.record), highlight=False, soft_wrap=True)
    if rejected := taught.record.rejected or ():
        console.print(f"  rejected: {clean(', '.join(rejected))}", highlight=False, soft_wrap=True)
    if taught.near:
        count = len(taught.near)
        who, again = ("image looks", "is") if count == 1 else ("images look", "are")
        messages.print(f"{count:,} {who} like this one and {again} tagged again:")
        for _, name, similarity in taught.near[:SHOWN]:
            messages.print(f"  {clean(name)}  [dim]{similarity:.3f}[/]", highlight=False)
        if count > SHOWN:
            messages.print(f"  … and {count - SHOWN:,} more")
    elif taught.problem is None:
        messages.print("No other image looks like this one.")
    if taught.problem is not None:
        messages.print(f"[yellow]{escape(taught.problem)}[/]")


examples = typer.Typer(no_args_is_help=True, help="List, export and import what people said of images.")


@examples.command("list")
def list_(json: Json = False) -> None:
    """List what people said of images, by key."""
    rows = list(_lines(connected()))
    if json:
        _print(rows, sys.stdout)
        return
    view = Table(pad_edge=False)
    for name in ("key", "label", "said"):
        view.add_column(name, overflow="fold")
    for row in rows:
        view.add_row(clean(row.key), clean(row.label), "accepted" if row.accepted else "rejected")
    if rows:
        console.print(view)
    else:
        messages.print('nothing was said yet: wildtag teach KEY "a label"')


@examples.command("export")
def export(file: Annotated[Path, typer.Argument(help="File to write, JSON lines; - is standard output.")]) -> None:
    """Export what people said of images."""
    rows = list(_lines(connected()))
    if str(file) == "-":
        _print(rows, sys.stdout)
        return
    with file.open("w", encoding="utf-8", errors="surrogateescape") as out:
        _print(rows, out)
    messages.print(f"{len(rows):,} {'example' if len(rows) == 1 else 'examples'} written to {escape(str(file))}")


@examples.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="JSON lines with key, label and accepted; - is standard input.")],
) -> None:
    """Say of images what a file says. Keys without a tagged image are named and skipped."""
    from workers.images.label_check import BadLabel  # noqa: PLC0415 -- keeps the command line quick
    from workers.images.teacher import NotTaggable  # noqa: PLC0415 -- as above
    from workers.wiring.operations import teacher  # noqa: PLC0415 -- as above

    if str(file) == "-":
        rows = list(_read(sys.stdin.buffer))
    else:
        with file.open("rb") as stream:
            rows = list(_read(stream))
    wiring = connected()
    say, done = teacher(wiring).say, 0
    problems: dict[str, int] = {}
    for row in rows:
        try:
            taught = say(wiring.settings.bucket, row.key, row.label, row.accepted)
            done += 1
            if taught.problem is not None:
                problems[taught.problem] = problems.get(taught.problem, 0) + 1
        except (NotTaggable, BadLabel) as exc:
            messages.print(f"[yellow]skipped: {escape(str(exc))}[/]")
    for problem, count in problems.items():
        messages.print(f"[yellow]{count:,} times: {escape(problem)}[/]", soft_wrap=True)
    messages.print(f"{done:,} of {len(rows):,} examples imported")
    if done < len(rows):
        raise typer.Exit(1)


@examples.command("remove")
def remove(
    key: Key,
    label: Annotated[str | None, typer.Argument(help="The label; default: all that was said of the image.")] = None,
) -> None:
    """Take back what was said of an image."""
    from workers.wiring.operations import teacher  # noqa: PLC0415 -- keeps the command line quick

    wiring = connected()
    bucket = wiring.settings.bucket
    for one in _said(wiring, key, label):
        taught = teacher(wiring).forget(bucket, key, one)
    if taught is not None:
        _show(taught)


@examples.command("calibrate")
def calibrate(json: Json = False) -> None:
    """Show how near is near enough, from the distances of images drawn at random from the archive."""
    import numpy as np  # noqa: PLC0415 -- keeps the command line quick

    from tasks.exemplars.nearness import MOST, calibrate  # noqa: PLC0415 -- as above
    from workers.wiring.operations import remote_images  # noqa: PLC0415 -- as above

    wiring = connected()
    images = remote_images(wiring)
    _, rows = next(images.pages(), ([], np.empty((0, images.dimension), np.float32)))
    found = calibrate(rows[:MOST], wiring.space.usual_distance)
    radii = [found.radius(row) for row in found.sample]
    figures: dict[str, Any] = {
        "images": images.count(), "sample": len(found.sample), "median_distance": found.median, "reach": found.reach,
        "median_radius": float(np.median(radii)) if radii else None,
    }  # fmt: skip
    if json:
        console.out(msgspec.json.encode(figures).decode(), highlight=False)
        return
    for name, value in figures.items():
        shown = "-" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.3f}"
        console.print(f"{name.replace('_', ' '):16} {shown}", highlight=False)
    messages.print("Distances are 1 - cosine. Images within the radius of an example look like it.")


def _said(wiring: Wiring, key: str, label: str | None) -> list[str]:
    """The labels of an object of which something was said, or the given one. Raises ``Permanent`` without any."""
    found = [row.label for row in _lines(wiring) if (row.bucket, row.key) == (wiring.settings.bucket, key)]
    if label is not None:
        found = [one for one in found if index_form(one) == index_form(label)]
    if not found:
        of = f"of {key!r}" if label is None else f"of {label!r} for {key!r}"
        raise Permanent(f"nothing was said {of}; wildtag examples list shows what was said")
    return found


def _lines(wiring: Wiring) -> Iterator[Line]:
    for oid, said in wiring.statements.all():
        bucket, key = place_of(oid)
        for one in said:
            yield Line(key, one.label, one.accepted, bucket, one.etag, rfc3339(one.said_at))


def _print(rows: list[Line], out: Any) -> None:
    for row in rows:
        print(msgspec.json.encode(row).decode(), file=out)


def _read(stream: BinaryIO) -> Iterator[Line]:
    for number, row in enumerate(iter(lambda: stream.readline(LINE_MAX + 1), b""), 1):
        if len(row) > LINE_MAX or number > LINES_MAX:
            most = f"{LINE_MAX:,} bytes" if len(row) > LINE_MAX else f"{LINES_MAX:,} lines"
            raise UnreadableExamples(f"line {number} is not an example: there are more than {most}")
        if row.strip():
            try:
                yield from_json(row, Line)
            except (msgspec.DecodeError, UnicodeDecodeError) as exc:
                raise UnreadableExamples(f"line {number} is not an example: {exc}") from exc


def add_to(app: typer.Typer) -> None:
    """Register this module's commands."""
    app.command(rich_help_panel=CAPTIONS)(teach)
    app.add_typer(examples, name="examples", rich_help_panel=CAPTIONS)
