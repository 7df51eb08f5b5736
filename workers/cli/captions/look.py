"""``captions search`` and ``captions stats``: search a version, and describe it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from vectordb.captions import CANDIDATES, SOURCE
from vectordb.errors import Permanent
from workers.cli.captions.manifest_json import manifest_json
from workers.cli.captions.thresholds import as_json, table_of
from workers.cli.connection import home_settings
from workers.cli.console import console, messages
from workers.lifecycle.skipping import IMAGE_SUFFIXES, VIDEO_SUFFIXES, suffix_of
from workers.settings.settings import Settings

if TYPE_CHECKING:
    from vectordb.captions import Caption
    from vectordb.index import CaptionIndex, Neighbours


class NoFile(Permanent):
    """The image whose captions are wanted does not exist."""


Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Wanted = Annotated[str | None, typer.Option("--captions", help="NAME or NAME@VERSION; default: the version in use.")]


def search(
    what: Annotated[str, typer.Argument(metavar="TEXT|IMAGE", help="A text, or an image file.")],
    limit: Annotated[int, typer.Option(min=1, help="Number of captions.")] = 10,
    captions: Wanted = None,
    json: Json = False,
) -> None:
    """Find the captions nearest to a text or an image, with their similarities, as tagging would retrieve them."""
    from workers.embedded.caption_access import open_captions  # noqa: PLC0415 -- keeps the command line quick

    if not what.strip():
        raise typer.BadParameter("give a text or an image file")
    if not _is_file(what) and _is_image_path(what):
        raise NoFile(f"there is no file {what}; a text that looks like an image path is not searched for")
    settings = home_settings()
    with open_captions(settings, captions) as here:
        if _is_file(what):
            found = _nearest_to(Path(what), settings, here.index, limit)
        else:
            (found,) = here.index.search(here.encoder().encode([what]), limit)
    rows = list(zip(found.captions, found.similarities.tolist(), strict=True))
    if json:
        for caption, similarity in rows:
            row = {"id": f"{caption.id:016x}", "caption": caption.text, "similarity": round(similarity, 6),
                   "source": caption.payload.get(SOURCE)}  # fmt: skip
            console.out(msgspec.json.encode(row).decode(), highlight=False)
        return
    view = Table(pad_edge=False)
    view.add_column("similarity", justify="right")
    view.add_column("caption", overflow="fold")
    view.add_column("taught by")
    for caption, similarity in rows:
        view.add_row(f"{similarity:.3f}", escape(caption.text), escape(str(caption.payload.get(SOURCE, ""))))
    console.print(view)


def _is_file(what: str) -> bool:
    try:
        return Path(what).is_file()
    except OSError:  # a text may be longer than a file name can be
        return False


def _is_image_path(what: str) -> bool:
    """Whether a text is the path of an image and not a sentence: it has one line, and ends in the suffix of one."""
    return suffix_of(what) in IMAGE_SUFFIXES | VIDEO_SUFFIXES and "\n" not in what


def _nearest_to(image: Path, settings: Settings, index: CaptionIndex, limit: int) -> Neighbours:
    """The captions of an image, as the retrieval stage finds them."""
    from tasks.encoders.views import encoded_views  # noqa: PLC0415 -- keeps the command line quick
    from tasks.retrieval import nearest  # noqa: PLC0415 -- as above
    from workers.stores.folder_files import read_file  # noqa: PLC0415 -- as above
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

    wiring = Wiring(settings)
    encoder = wiring.image_encoder
    data, _ = read_file(image, settings.max_object_bytes)
    views, _ = wiring.decoders(data, max_pixels=settings.max_pixels, near=encoder.side, video=settings.video)
    vectors = encoded_views([views], encoder.encode)
    (found,) = nearest(index, vectors, limit, wiring.reference_vectors)
    return found


def stats(
    name: Annotated[str | None, typer.Argument(metavar="NAME[@VERSION]", help="Default: the version in use.")] = None,
    sample: Annotated[int, typer.Option(min=0, help="Number of captions to count candidates in.")] = 5000,
    json: Json = False,
) -> None:
    """Show the size, vector space, thresholds, bytes on disk and most frequent candidates of a version."""
    from workers.embedded.caption_access import open_captions  # noqa: PLC0415 -- keeps the command line quick
    from workers.wiring.captions import thresholds_in_force  # noqa: PLC0415 -- as above
    from workers.wiring.wiring import Wiring  # noqa: PLC0415 -- as above

    settings = home_settings()
    wiring = Wiring(settings)
    with open_captions(settings, name) as here:
        version = here.captions_version
        details: dict[str, Any] = {"captions_version": version, "count": here.index.count()}
        sampled, common = _common(here.index, sample)
    library, space_id = wiring.library, wiring.space.id
    manifest = library.find(space_id, version)
    details |= manifest_json(manifest) | {"count": details["count"]} if manifest else {}
    found = thresholds_in_force(settings, wiring.space, manifest)
    details |= {
        "thresholds": as_json(found),
        "bytes": library.size(space_id, version),
        "active": library.active(space_id) == version,
        "spaces": sorted({m.space_id for m in library.manifests() if manifest and m.name == manifest.name}),
        "sample": sampled,
        "candidates": dict(common),
    }
    if json:
        console.out(msgspec.json.encode(details).decode(), highlight=False)
        return
    view = Table(show_header=False, box=None, pad_edge=False)
    for key in ("captions_version", "count", "space_id", "dimension", "spaces", "created", "origin", "read",
                "duplicate", "empty", "skipped", "profile", "active"):  # fmt: skip
        value = details.get(key)
        if value not in (None, "", {}):
            view.add_row(key, f"{value:,}" if type(value) is int else escape(_plain(value)))
    view.add_row("on disk", decimal(details["bytes"]))
    console.print(view)
    console.print("\nThresholds in force:")
    console.print(table_of(found))
    if common:
        words = ", ".join(f"{escape(label)} [dim]{count:,}[/]" for label, count in common)
        console.print(f"\nMost frequent candidates among {sampled:,} captions: {words}")


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {count:,}" for name, count in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _common(index: CaptionIndex, sample: int, most: int = 20) -> tuple[int, list[tuple[str, int]]]:
    """The most frequent labels of the first captions. Ids are hashes, so the first captions are a random sample."""
    from tasks.extraction.phrases import Phrases  # noqa: PLC0415 -- keeps the command line quick

    phrases, counts, seen = Phrases(), Counter[str](), 0
    for page, _ in index.pages():
        part = page[: sample - seen]
        if not part:
            break
        seen += len(part)
        unknown = [caption.text for caption in part if CANDIDATES not in caption.payload]
        counts.update(label for one in phrases.parse(unknown) for label, head, _ in one.phrases if not head)
        counts.update(label for caption in part for label in _kept(caption))
    if not seen:
        messages.print("[dim]no captions were sampled[/]")
    return seen, counts.most_common(most)


def _kept(caption: Caption) -> list[str]:
    kept: Any = caption.payload.get(CANDIDATES)
    return [] if kept is None else [label for label, head, _ in kept["phrases"] if not head]


def add_to(app: typer.Typer) -> None:
    """Register this module's commands."""
    app.command()(search)
    app.command()(stats)
