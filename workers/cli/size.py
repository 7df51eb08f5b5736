"""``size``: how much an installation needs, from measured figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.filesize import decimal
from rich.table import Table

from workers.cli.console import clean, console, messages
from workers.cli.panels import OPERATE

if TYPE_CHECKING:
    from workers.diagnostics.sizing import Demand, Size

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, with the figures that were used.")]


def size(
    images_a_day: Annotated[float, typer.Option(min=0, help="New images a day.")],
    days_kept: Annotated[float, typer.Option(min=0, help="Days that an image stays in the bucket.")] = 365,
    archive: Annotated[int, typer.Option(min=0, help="Images that are there already.")] = 0,
    captions: Annotated[int, typer.Option(min=0, help="Captions in the database in use.")] = 30_000,
    peak_factor: Annotated[float, typer.Option(min=1, help="Images a second at the peak, over the mean.")] = 4,
    encoder: Annotated[str, typer.Option(help="bundled, or clip-vit-b-32; others with --image-ms.")] = "bundled",
    image_ms: Annotated[
        float | None,
        typer.Option(min=0.01, help="Milliseconds of CPU of your encoder for one image, decoding included."),
    ] = None,
    dimension: Annotated[int | None, typer.Option(min=1, help="Dimension of its vectors.")] = None,
    partitions: Annotated[int, typer.Option(min=1, max=1024, help="Partitions of Redis, each on a node.")] = 1,
    segmented: Annotated[float, typer.Option(min=0, max=1, help="Share of the images that is segmented.")] = 0,
    method: Annotated[str, typer.Option(help="Method of segmentation: regions or dense.")] = "regions",
    sidecars: Annotated[bool, typer.Option("--sidecars", help="Results are written beside the images.")] = False,
    used: Annotated[float, typer.Option(min=0.05, max=1, help="Share of the cores to be used at the peak.")] = 0.7,
    json: Json = False,
) -> None:
    """Estimate the processes, cores, memory and disk for a number of images a day, from measured figures.

    The figures were measured on two cores of one machine and grow in proportion. Measure the first ones on yours.
    """
    from workers.diagnostics.sizing import METHODS, Demand, figures  # noqa: PLC0415 -- keeps the command line quick
    from workers.diagnostics.sizing import size as size_of  # noqa: PLC0415 -- as above

    if method not in METHODS:
        raise typer.BadParameter(f"unknown method {method!r}; choose one of {', '.join(METHODS)}")
    known = figures()
    demand = Demand(
        images_a_day, days_kept, archive, captions, peak_factor, encoder, image_ms, dimension, partitions, segmented,
        method, sidecars, used,
    )  # fmt: skip
    found = size_of(demand, known)
    if json:
        body: dict[str, Any] = {"demand": msgspec.to_builtins(demand), **found.row(), "figures": known}
        console.out(msgspec.json.encode(body).decode(), highlight=False)
        return
    _show(demand, found)


def _show(demand: Demand, found: Size) -> None:
    console.print(
        f"{demand.images_a_day:,.0f} images a day, {found.peak:,.2f} a second at the peak ({demand.peak_factor:g}"
        f" times the mean), {found.records:,} images kept, {demand.captions:,} captions, encoder"
        f" {clean(demand.encoder)}",
        soft_wrap=True,
    )
    view = Table("process", pad_edge=False, box=None)
    for name in ("processes", "cores", "memory"):
        view.add_column(name, justify="right")
    for one in found.processes:
        memory = decimal(one.memory) if one.memory else decimal(found.redis_nodes * found.redis_memory)
        view.add_row(one.name, f"{one.processes:,}", f"{one.cores:.2f}", memory)
    view.add_row("index of captions and images", "", "", decimal(found.index_memory))
    view.add_row("[bold]all[/]", "", f"[bold]{found.cores:.2f}[/]", f"[bold]{decimal(found.memory)}[/]")
    console.print(view)
    nodes = f" on each of {found.redis_nodes:,} nodes" if found.redis_nodes > 1 else ""
    lines = Table(show_header=False, pad_edge=False, box=None)
    lines.add_row("Redis", f"{decimal(found.redis_data)} of data, maxmemory {decimal(found.redis_maxmemory)}, memory"
                  f" {decimal(found.redis_memory)}, disk {decimal(found.redis_disk)}{nodes}")  # fmt: skip
    lines.add_row("index", f"{decimal(found.index_memory)} of memory, {decimal(found.index_disk)} of disk; up to"
                  f" {decimal(found.index_pages)} more of memory as cache of its files make it faster")  # fmt: skip
    lines.add_row("bucket", f"{decimal(found.bucket_disk)} beside the images" if found.bucket_disk else
                  "nothing beside the images")  # fmt: skip
    console.print(lines)
    for note in found.notes:
        messages.print(f"[yellow]{clean(note)}[/]", soft_wrap=True)
    messages.print("`wildtag size --json` prints each figure with where it was measured.", soft_wrap=True)


def add_to(app: typer.Typer) -> None:
    """Register this module's command."""
    app.command(rich_help_panel=OPERATE)(size)
