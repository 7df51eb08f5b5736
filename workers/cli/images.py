"""``wildtag images …``: verify, repair and describe the index of images."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from workers.cli.connection import connected
from workers.cli.console import clean, console, messages
from workers.cli.panels import OPERATE
from workers.lifecycle.times import public

if TYPE_CHECKING:
    from workers.images.findings import Findings
    from workers.wiring.wiring import Wiring

PAUSE_S = 0.2  # while other work comes first

images = typer.Typer(no_args_is_help=True, help="Verify, repair and describe the index of images.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@images.command()
def verify(
    repair: Annotated[
        bool, typer.Option("--repair", help="Repair what is found. Waits while images are being tagged.")
    ] = False,
    json: Json = False,
) -> None:
    """Compare the index of images with the records. The running stack does so by itself, too, and repairs.

    Exit status 1: there are faults, with --repair those that could not be repaired.
    """
    findings = _run(connected(), repair=repair)
    _print(findings, repair=repair, json=json)
    if findings.left:
        raise typer.Exit(1)


@images.command()
def rebuild(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False, json: Json = False
) -> None:
    """Make the index of images anew: remove all vectors, then embed every tagged image again.

    Records are not changed. Searches find only the images that are done. Exit status 1: some could not be embedded.
    """
    from workers.wiring.operations import remote_images  # noqa: PLC0415 -- keeps the command line quick

    wiring = connected()
    if not yes:
        typer.confirm("Remove the index of images and embed all tagged images again?", abort=True)
    remote_images(wiring).drop()
    findings = _run(wiring, repair=True)
    _print(findings, repair=True, json=json)
    if findings.left:
        raise typer.Exit(1)


@images.command()
def stats(json: Json = False) -> None:
    """Show the number of images in the index, its vector space, its size, and the last comparison."""
    from workers.wiring.images import size_on_disk  # noqa: PLC0415 -- keeps the command line quick
    from workers.wiring.operations import coverage, images_standing, remote_images  # noqa: PLC0415 -- as above

    wiring = connected()
    last, size = images_standing(wiring).read(), size_on_disk(wiring)
    found = msgspec.structs.replace(coverage(wiring).read(), indexed=remote_images(wiring).count())
    details: dict[str, Any] = {
        "images": found.indexed, **found.row(), "space_id": wiring.space.id, "dimension": wiring.space.dimension,
        "bytes": size, "last_comparison": public(last),
    }  # fmt: skip
    if json:
        console.out(msgspec.json.encode(details).decode(), highlight=False)
        return
    view = Table(show_header=False, box=None, pad_edge=False)
    view.add_row("images", found.count)
    view.add_row("vector space", clean(wiring.space.id))
    view.add_row("dimension", str(wiring.space.dimension))
    if size is not None:
        view.add_row("on disk", decimal(size))
    if last is not None:
        view.add_row("last comparison", f"{last.indexed:,} of {last.records:,}, {wiring.clock() - last.at:.0f} s ago")
    console.print(view)
    if found.incomplete is not None:
        messages.print(f"[yellow]{clean(found.incomplete)}[/]", soft_wrap=True)


def _run(wiring: Wiring, *, repair: bool) -> Findings:
    """Verify the index with a progress bar."""
    from workers.images.findings import Findings  # noqa: PLC0415 -- keeps the command line quick
    from workers.wiring.images import tagged, verification, verifier  # noqa: PLC0415 -- as above
    from workers.wiring.operations import images_standing  # noqa: PLC0415 -- as above

    findings = Findings(at=wiring.clock())
    running = verification(wiring, verifier(wiring), findings, repair=repair)
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,.0f} of {task.total:,.0f}")
    with Progress(*columns, console=messages, transient=True) as progress:
        bar = progress.add_task("comparing", total=tagged(wiring))
        while not running.finished:
            if not running.advance(1.0) and running.waits:
                progress.update(bar, description="waiting: images are being tagged")
                time.sleep(PAUSE_S)
            elif findings.compared:
                progress.update(bar, description="filling", completed=findings.indexed, total=findings.records)
            else:
                progress.update(bar, completed=findings.records)
    if repair:
        images_standing(wiring).write(findings, wiring.clock())
    return findings


def _print(findings: Findings, *, repair: bool, json: bool) -> None:
    if json:
        console.out(msgspec.json.encode(public(findings.row())).decode(), highlight=False)
        return
    console.print(f"Images in the index: {findings.indexed:,} of {findings.records:,}")
    for kind, count in findings.faults.items():
        if count:
            done = f", {findings.repaired[kind]:,} repaired" if repair else ""
            console.print(f"{kind}: {count:,}{done}: {_names(findings.examples[kind], count)}", soft_wrap=True)
    for name, reason in findings.unreadable.items():
        messages.print(f"[yellow]not embedded:[/] {clean(name)}: {clean(reason)}", soft_wrap=True)
    more = findings.unreadable_count - len(findings.unreadable)
    if more > 0:
        messages.print(f"[yellow]not embedded:[/] {more:,} more")
    if not findings.total:
        console.print("No faults were found.")
    elif not repair:
        messages.print("Repair them with `wildtag images verify --repair`; the running stack does so by itself.")


def _names(examples: list[str], count: int) -> str:
    return clean(", ".join(examples)) + (" …" if count > len(examples) else "")


def add_to(app: typer.Typer) -> None:
    """Register the group."""
    app.add_typer(images, name="images", rich_help_panel=OPERATE)
