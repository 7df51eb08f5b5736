"""Which captions this stack searches, and how they come to be there on the first start."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tasks.encoders import load_text_encoder, space_of
from tasks.messages import Revision
from vectordb.errors import Permanent
from vectordb.index import CaptionIndex
from vectordb.library import Library
from vectordb.starter import NAME, TEMPLATE, captions, version
from workers.cli.show import messages
from workers.settings import Settings


def captions_version(settings: Settings) -> str:
    """The version of the captions that these settings name: ``starter@…``."""
    if settings.captions != NAME:
        raise Permanent(f"there is no caption database {settings.captions!r}; there is {NAME!r}")
    return f"{NAME}@{version()}"


def prepared(settings: Settings) -> bool:
    """Whether the captions are encoded and on disk. Loads no model."""
    library = Library(settings.captions_folder)
    return library.find(space_of(settings.encoder).id, captions_version(settings)) is not None


def open_captions(settings: Settings, revision: Revision) -> CaptionIndex:
    """Open the captions; this process then owns them. Raises ``IndexMissing``, ``IndexLocked``."""
    return Library(settings.captions_folder).open(revision.space_id, revision.captions_version)


def prepare_captions(settings: Settings) -> None:
    """Encode the starter captions and index them, with a progress bar; at once when that has been done.

    A killed one goes on where it was. Raises ``BuildRunning`` when another process is at it.
    """
    if prepared(settings):
        return
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=messages
    ) as progress:
        bar = progress.add_task("Encoding captions (first start only)", total=None)
        encoder = load_text_encoder(
            settings.encoder, cache_dir=settings.cache_folder, threads=settings.threads
        )
        Library(settings.captions_folder).build(
            captions(),
            encoder.encode,
            name=NAME,
            version=version(),
            space_id=encoder.space.id,
            dimension=encoder.space.dimension,
            created=datetime.now(UTC),
            template=TEMPLATE,
            progress=lambda done, total: progress.update(bar, completed=done, total=total),
        )
