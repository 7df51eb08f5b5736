"""``segment``: find where each tag is, in files or in objects of the running stack."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import structs
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, track
from rich.table import Table

from workers.cli.connection import connected, home_settings
from workers.cli.console import clean, console, messages
from workers.cli.files import expanded
from workers.cli.first_start import prepare_captions
from workers.cli.one_process import Json
from workers.cli.panels import SEGMENT
from workers.cli.show import print_json
from workers.lifecycle.record import ArtifactKeys, Record
from workers.settings.segmentation import METHODS
from workers.settings.settings import Settings
from workers.stores.folder_names import key_text

if TYPE_CHECKING:
    from workers.wiring.wiring import Wiring

POLL_S = 0.2
MOST_SHOWN = 12  # segments per image in the table


def segment(
    what: Annotated[
        list[str], typer.Argument(help="Image files or folders, or keys in the bucket of the running stack.")
    ],
    method: Annotated[str, typer.Option(help=f"Segmentation method: {', '.join(METHODS)}.")] = "dense",
    out: Annotated[
        Path, typer.Option(help="Folder for label maps and overlays; created if missing.", file_okay=False)
    ] = Path("segments"),
    json: Json = False,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait for each object of the stack.")] = 600.0,
) -> None:
    """Segment images: a table of labelled segments, a label map and an overlay for each image.

    Files are segmented in this process; only the label map and the overlay are stored. Any other name is a key in the
    bucket of the running stack: its workers segment the object and store the segmentation in its record.
    """
    settings = home_settings()
    if (reason := settings.lacks(method)) is not None:
        raise typer.BadParameter(reason)
    paths = list(expanded(Path(one) for one in what if Path(one).exists()))
    keys = [key_text(one) for one in what if not Path(one).exists()]
    total, done = len(paths) + len(keys), 0
    for record in chain(_objects(keys, method, out, timeout), _files(paths, method, out, settings)):
        done += record.segmentation is not None and record.segmentation.error is None
        if json:
            print_json(record)
        else:
            _show(record)
    if done < total:
        messages.print(f"[red]{total - done} of {total} images could not be segmented[/]")
        raise typer.Exit(1)


def _files(paths: Sequence[Path], method: str, out: Path, settings: Settings) -> Iterator[Record]:
    """The records of files, in order."""
    from workers.embedded.one_process import tagging  # noqa: PLC0415 -- as above
    from workers.wiring.captions import prepared  # noqa: PLC0415 -- keeps the command line quick
    from workers.wiring.segmentation import SegmentationMethods  # noqa: PLC0415 -- as above

    if not paths:
        return
    if not prepared(settings):
        prepare_captions(settings)
    made = SegmentationMethods(settings)(method)
    with tagging(settings) as tagger:
        for path in track(paths, "segmenting", console=messages, transient=True, disable=len(paths) < 2):
            record, drawn = tagger.segment(path, made, time.time())
            name = str(path).lstrip("./").replace("../", "").replace("/", "-") if len(paths) > 1 else path.name
            yield record if drawn is None else _keep(record, out, name, drawn.label_map, drawn.overlay)


def _objects(keys: Sequence[str], method: str, out: Path, timeout: float) -> Iterator[Record]:
    """The records of objects of the running stack, in order. All segmentations are requested first."""
    from workers.lifecycle.event import ObjectEvent  # noqa: PLC0415 -- as above
    from workers.wiring.operations import spellings  # noqa: PLC0415 -- as above

    if not keys:
        return
    wiring = connected()
    bucket = wiring.settings.bucket
    lookup = spellings(wiring, unrecorded=True)
    keys = [lookup.find(bucket, key) for key in keys]
    there = [key for key in keys if wiring.store.stat(bucket, key) is not None]
    for key in keys:
        if key not in there:
            hint = clean(lookup.hint(bucket, key))
            messages.print(f"[red]{clean(key)}: neither a file nor a key in the bucket {clean(bucket)}[/]{hint}")
    oids = [f"{bucket}/{key}" for key in there]
    before = [record.finished_at if record else 0.0 for record in wiring.records.get(oids)]
    wiring.segmentation_requests.ask(oids, method)
    # an object that is in progress takes the request along; others need an event
    in_progress = [wiring.records.on_its_way(oid) is not None for oid in oids]
    wiring.inbox.append(
        [ObjectEvent("created", bucket, key, force=not heard) for key, heard in zip(there, in_progress, strict=True)]
    )
    for key, since in zip(there, before, strict=True):
        record = _awaited(wiring, key, since, timeout)
        artifacts = record.segmentation and record.segmentation.artifacts
        if artifacts:
            label_map, overlay = (
                wiring.store.get(bucket, name, wiring.settings.max_object_bytes)[0]
                for name in (artifacts.label_map, artifacts.overlay)
            )
            _write(out, key.replace("/", "-"), label_map, overlay)
        yield record


def _awaited(wiring: Wiring, key: str, since: float, timeout: float) -> Record:
    """The next record of an object."""
    oid, until = f"{wiring.settings.bucket}/{key}", time.monotonic() + timeout
    bar = Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=messages,
                   transient=True)  # fmt: skip
    with bar:
        task = bar.add_task(f"{clean(key)}: queued")
        while time.monotonic() < until:
            (record,) = wiring.records.get([oid])
            if record is not None and record.finished_at > since:
                return record
            pending = wiring.records.on_its_way(oid)
            bar.update(task, description=f"{clean(key)}: {pending.stage if pending else 'queued'}")
            time.sleep(POLL_S)
    from workers.redis.rpc import RpcTimeout  # noqa: PLC0415 -- as above

    raise RpcTimeout(f"{key} has no new record after {timeout:.0f} s. The request stays queued; see `wildtag status`")


def _keep(record: Record, out: Path, name: str, label_map: bytes, overlay: bytes) -> Record:
    """Write the artifacts of a file. Returns the record with their paths."""
    assert record.segmentation is not None  # noqa: S101 -- it has artifacts
    artifacts = ArtifactKeys(*map(str, _write(out, name, label_map, overlay)))
    return structs.replace(record, segmentation=structs.replace(record.segmentation, artifacts=artifacts))


def _write(out: Path, name: str, label_map: bytes, overlay: bytes) -> tuple[Path, Path]:
    """Write both artifacts, replacing those of an earlier run. Returns their paths."""
    from workers.segmentation.artifacts import LABELS, OVERLAY  # noqa: PLC0415 -- as above

    out.mkdir(parents=True, exist_ok=True)
    path = out / name
    label_map_path, overlay_path = path.with_name(path.name + LABELS), path.with_name(path.name + OVERLAY)
    label_map_path.write_bytes(label_map)
    overlay_path.write_bytes(overlay)
    return label_map_path, overlay_path


def _show(record: Record) -> None:
    """Print the segments of an image, largest first."""
    drawn = record.segmentation
    if drawn is None or drawn.error is not None:
        error = record.error or (drawn and drawn.error) or record.retag_error
        messages.print(f"[red]{clean(record.key)}: {clean(error.reason) if error else record.state}[/]")
        return
    view = Table("label", "area", "score", "x, y, width, height", "best caption", title=clean(record.key),
                 title_justify="left", pad_edge=False)  # fmt: skip
    colours = {label.label: label.colour for label in drawn.labels}
    for segment_ in drawn.segments[:MOST_SHOWN]:
        best = [f"{clean(hit.caption)} [dim]{hit.similarity:.2f}[/]" for hit in segment_.evidence[:1]]
        view.add_row(
            f"[{colours[segment_.label]}]\N{BLACK SQUARE}[/] {clean(segment_.label)}", f"{segment_.area:.0%}",
            f"{segment_.score:.2f}", ", ".join(map(str, segment_.box)), *best,
        )  # fmt: skip
    known = sum(segment_.area for segment_ in drawn.segments)
    left = len(drawn.segments) - MOST_SHOWN
    if left > 0:
        view.add_row(f"[dim]and {left} smaller[/]")
    view.add_row("[dim]unknown[/]", f"[dim]{max(0.0, 1 - known):.0%}[/]")
    console.print(view)
    if drawn.artifacts is not None:
        console.print(f"[dim]{clean(drawn.artifacts.overlay)}[/]", soft_wrap=True)


def add_to(app: typer.Typer) -> None:
    """Register this module's commands."""
    app.command(rich_help_panel=SEGMENT)(segment)
