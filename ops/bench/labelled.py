"""Labelled images for ``finding`` and ``examples``: where their files are, and what they are tagged with.

A set is what ``wildtag evaluate`` reads. A table may have a column ``id``, too: the name of the file in the folder,
without its suffix, of an image whose path leads nowhere.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.progress import track

from tasks.evaluation.manifest import BadManifest, Item
from tasks.evaluation.manifest import Labelled as LabelledSet
from tasks.evaluation.manifest import read as read_manifest
from tasks.evaluation.run import embedded_of
from tasks.message_parts import Floats
from tasks.messages import Scored
from tasks.search.words import words_of
from vectordb.index import CaptionIndex
from workers.cli.console import messages
from workers.embedded.caption_access import captions_of
from workers.evaluation.adapters import source_of
from workers.settings.settings import Settings
from workers.wiring.captions import prepare_captions
from workers.wiring.pipeline import pipeline as pipeline_of
from workers.wiring.wiring import Wiring

Labelled = tuple[str, float, Sequence[str]]


@dataclass(frozen=True)
class Images:
    """What an index of images would hold, by position. ``vectors`` (n, d). ``labels``: see ``words_of``."""

    items: Sequence[Item]
    vectors: Floats
    labels: Sequence[Sequence[Labelled]]
    words: Sequence[dict[str, float]]


def labelled_set(manifest: Path, root: Path | None) -> LabelledSet:
    """The images of a table or of a folder, as above. Raises ``BadManifest``."""
    if not manifest.is_file() or "id" not in (rows := _table(manifest))[0]:
        return read_manifest(manifest, root)
    folder = root or manifest.parent
    if not folder.is_dir():
        raise BadManifest(f"the folder {folder} of the images in {manifest} does not exist")
    names = {file.stem: file.name for file in sorted(folder.iterdir()) if file.is_file()}
    header, *body = rows
    place, path = header.index("id"), header.index("path") if "path" in header else header.index("id")
    lines = ["\t".join("path" if at == path else name for at, name in enumerate(header))]
    for row in body:
        if len(row) == len(header) and not (folder / row[path]).is_file():
            row[path] = names.get(row[place], row[path])
        lines.append("\t".join(row))
    with tempfile.TemporaryDirectory(prefix="labelled-") as made:
        table = Path(made) / manifest.name
        table.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return read_manifest(table, folder)


@contextmanager
def opened(settings: Settings) -> Iterator[tuple[Wiring, CaptionIndex]]:
    """The parts of a pipeline with these settings, and its captions, which are encoded at the first use."""
    prepare_captions(settings)
    wiring = Wiring(settings)
    with captions_of(wiring) as captions:
        yield wiring, captions


def tagged(items: Sequence[Item], wiring: Wiring, captions: CaptionIndex) -> Images:
    """Tag the images by the stages, as ``wildtag tag`` does. Raises ``BadManifest`` if none can be read."""
    source = source_of(wiring)
    pipeline = pipeline_of(wiring, captions, wiring.revision.captions_version)
    good: list[Item] = []
    vectors: list[Floats] = []
    labels: list[Sequence[Labelled]] = []
    starts = range(0, len(items), source.batch)
    for begin in track(starts, "tagging", console=messages, transient=True):
        part = items[begin : begin + source.batch]
        embedded, _, skipped = embedded_of(part, source)
        for one in skipped:
            messages.print(f"skipped {one}", markup=False, soft_wrap=True)
        good += [part[int(ref.key)] for ref in embedded.objects]
        vectors.append(embedded.vectors.array())
        labels += _labels(pipeline.score(pipeline.candidates(embedded)))
    if not good:
        raise BadManifest(f"none of the {len(items)} images can be read")
    return Images(good, np.concatenate(vectors), labels, [words_of(found) for found in labels])


def _labels(scored: Scored) -> list[list[Labelled]]:
    return [
        [(tag.label, tag.strength, [hits[at].caption for at in tag.evidence]) for tag in tags]
        for tags, hits in zip(scored.tags, scored.hits, strict=True)
    ]


def _table(manifest: Path) -> list[list[str]]:
    with manifest.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        rows = [[cell.strip() for cell in row] for row in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]
    return [row for row in rows if row] or [[]]
