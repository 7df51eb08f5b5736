"""``teach`` and ``examples``: say what an image shows, and manage what was said."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.markup import escape
from rich.table import Table

from vectordb.decoders import from_json
from vectordb.errors import Permanent
from workers.cli.connection import connected
from workers.cli.panels import CAPTIONS
from workers.cli.show import clean, console, messages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workers.images.teacher import Taught
    from workers.wiring.wiring import Wiring

SHOWN = 10  # images that look like one
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]
Key = Annotated[str, typer.Argument(help="Key of an image in the bucket.")]
Label = Annotated[str, typer.Argument(help="What the image shows, in your words.")]


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of exported examples."""

    key: str
    label: str
    accepted: bool = True
    bucket: str = ""
    etag: str = ""
    said_at: float = 0.0


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
    from workers.wiring.operations import spellings, teacher  # noqa: PLC0415 -- keeps the command line quick

    wiring = connected()
    bucket = wiring.settings.bucket
    found = spellings(wiring).find(bucket, key)
    taught = teacher(wiring).say(bucket, found, label, None if take_back else not reject)
    if json:
        near = [{"bucket": other, "key": name, "similarity": value} for other, name, value in taught.near]
        row = {"record": taught.record, "near": near, "problem": taught.problem}
        console.out(msgspec.json.encode(row).decode(), highlight=False)
        return
    _show(taught)


def _show(taught: Taught) -> None:
    tags = ", ".join(tag.label for tag in taught.record.tags) or "unknown"
    console.print(f"{escape(clean(taught.record.key))}  {escape(clean(tags))}", highlight=False)
    if taught.near:
        count = len(taught.near)
        look = "looks" if count == 1 else "look"
        messages.print(f"{count:,} {'image' if count == 1 else 'images'} {look} like this one, tagged again:")
        for _, name, similarity in taught.near[:SHOWN]:
            messages.print(f"  {escape(clean(name))}  [dim]{similarity:.3f}[/]", highlight=False)
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
    for name in ("key", "", "label"):
        view.add_column(name, overflow="fold")
    for row in rows:
        view.add_row(escape(clean(row.key)), "" if row.accepted else "not", escape(clean(row.label)))
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
    messages.print(f"{len(rows):,} examples written to {escape(str(file))}")


@examples.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="JSON lines with key, label and accepted; - is standard input.")],
) -> None:
    """Say of images what a file says. Keys without a tagged image are named and skipped."""
    from workers.images.teacher import BadLabel, NotTaggable  # noqa: PLC0415 -- keeps the command line quick
    from workers.wiring.operations import teacher  # noqa: PLC0415 -- as above

    text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8", errors="surrogateescape")
    rows = list(_read(text))
    wiring = connected()
    say, done = teacher(wiring).say, 0
    for row in rows:
        try:
            say(wiring.settings.bucket, row.key, row.label, row.accepted)
            done += 1
        except (NotTaggable, BadLabel) as exc:
            messages.print(f"[yellow]skipped: {escape(str(exc))}[/]")
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
    labels = [label] if label is not None else [row.label for row in _lines(wiring) if row.key == key]
    if not labels:
        raise Permanent(f"nothing was said of {key!r}")
    for one in labels:
        taught = teacher(wiring).say(bucket, key, one, None)
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


def _lines(wiring: Wiring) -> Iterator[Line]:
    for oid, said in wiring.statements.all():
        bucket, _, key = oid.partition("/")
        for one in said:
            yield Line(key, one.label, one.accepted, bucket, one.etag, one.said_at)


def _print(rows: list[Line], out: Any) -> None:
    for row in rows:
        print(msgspec.json.encode(row).decode(), file=out)


def _read(text: str) -> Iterator[Line]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                yield from_json(line, Line)
            except msgspec.DecodeError as exc:
                raise UnreadableExamples(f"line {number} is not an example: {exc}") from exc


def add_to(app: typer.Typer) -> None:
    """Register this module's commands."""
    app.command(rich_help_panel=CAPTIONS)(teach)
    app.add_typer(examples, name="examples", rich_help_panel=CAPTIONS)
