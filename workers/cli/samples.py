"""The demo: copy the photographs of scikit-image into the inbox and wait for their tags."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from importlib import resources
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from vectordb.errors import Permanent
from workers.cli.console import console
from workers.cli.show import add_row, table

if TYPE_CHECKING:
    from workers.wiring.wiring import Wiring

PHOTOGRAPHS = (
    "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png", "astronaut.png", "camera.png", "coins.png",
    "horse.png", "hubble_deep_field.jpg", "moon.png", "grass.png", "gravel.png", "brick.png",
)  # fmt: skip
PATIENCE_S = 120.0


def tag_samples(wiring: Wiring, step: Callable[[], None]) -> bool:
    """Store the photographs and show each result. Calls ``step`` while waiting. Returns whether all were tagged."""
    bucket = wiring.settings.bucket
    expected = {f"{bucket}/{key}": etag for key, etag in _drop(wiring).items()}
    progress = Progress(
        TextColumn("tagging"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    )
    bar = progress.add_task("", total=len(expected))
    view = table()
    deadline = time.monotonic() + PATIENCE_S
    with Live(Group(view, progress), console=console, refresh_per_second=8):
        while expected and time.monotonic() < deadline:
            oids = list(expected)
            for oid, record in zip(oids, wiring.records.get(oids), strict=True):
                if record is not None and record.etag == expected[oid]:
                    del expected[oid]
                    add_row(view, record)
                    progress.advance(bar)
            step()
            time.sleep(0.05)
    console.print()
    return not expected


def _drop(wiring: Wiring) -> dict[str, str]:
    """Store the photographs in the inbox. Returns key → ETag."""
    try:
        folder = resources.files("skimage.data")
    except ModuleNotFoundError as exc:
        raise Permanent(
            "scikit-image, which contains the sample photographs, is not installed: pip install 'wildtag[embedded]'"
        ) from exc
    etags = {}
    for name in PHOTOGRAPHS:
        photograph = io.BytesIO(folder.joinpath(name).read_bytes())
        info = wiring.store.put(wiring.settings.bucket, name, photograph)
        etags[name] = info.ref.etag
    return etags
