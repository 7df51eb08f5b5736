"""The output folder of img2dataset: shards ``00000`` …, each a table of its rows and their pictures.

Of each shard, ``00000.parquet`` has all rows with their captions. Without it, ``00000.tar`` (WebDataset) or the
``.txt`` and ``.json`` files beside the pictures in the folder ``00000`` have those of the downloaded pictures.
``00000_stats.json`` has no captions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from vectordb.readers import parquet, webdataset
from vectordb.readers.rows import LONGEST, BadSource, OnProgress, Rows, packed

_SHARD = re.compile(r"(?P<number>\d{4,})(?P<kind>\.parquet|\.tar|_stats\.json|)")


def is_output(folder: Path) -> bool:
    """Whether a folder has this layout: a shard of which two of table, archive, folder and statistics exist."""
    return any(len(kinds) > 1 for kinds in _shards(folder).values())


def files(folder: Path) -> tuple[Path, ...]:
    """The files with captions, shard by shard. Raises ``BadSource``."""
    found: list[Path] = []
    for _, kinds in sorted(_shards(folder).items(), key=lambda one: (int(one[0]), one[0])):
        if whole := kinds.get(".parquet") or kinds.get(".tar"):
            found.append(whole)
        elif "" in kinds:
            found += _sidecars(kinds[""])
    if not found:
        raise BadSource(folder, "there are no shards in it: neither 00000.parquet nor 00000.tar nor a folder 00000")
    return tuple(found)


def read(paths: Sequence[Path], column: str | None, on_progress: OnProgress) -> Iterator[Rows]:
    """The captions of the files returned by ``files``. Rows whose download failed are left out."""
    before = 0
    waiting: list[Path] = []
    for path in paths:
        start = before

        def so_far(consumed: int, start: int = start) -> None:
            on_progress(start + consumed)

        if path.suffix in {".txt", ".json"}:
            waiting.append(path)
        else:
            yield from _sidecar_rows(waiting, column)
            waiting = []
            yield from (parquet if path.suffix == ".parquet" else webdataset).read(path, column, so_far)
        before += path.stat().st_size
        on_progress(before)
    yield from _sidecar_rows(waiting, column)


def _shards(folder: Path) -> dict[str, dict[str, Path]]:
    """The parts of each shard, by its number: ``.parquet``, ``.tar``, ``_stats.json``, and its folder as ``""``."""
    shards: dict[str, dict[str, Path]] = {}
    for path in folder.iterdir():
        found = _SHARD.fullmatch(path.name)
        if found and (path.is_dir() if not found["kind"] else path.is_file()):
            shards.setdefault(found["number"], {})[found["kind"]] = path
    return shards


def _sidecars(folder: Path) -> list[Path]:
    """The files beside pictures that have captions: the ``.txt`` of a sample, or its ``.json``."""
    samples: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if (
            path.suffix in {".txt", ".json"}
            and path.is_file()
            and (path.suffix == ".txt" or path.stem not in samples)
        ):
            samples[path.stem] = path
    return [samples[stem] for stem in sorted(samples)]


def _sidecar_rows(paths: Sequence[Path], column: str | None) -> Iterator[Rows]:
    sample = webdataset.Sample(paths[0].parent, column) if paths else None

    def texts() -> Iterator[str]:
        for path in paths:
            if path.stat().st_size > LONGEST:
                raise BadSource(path, f"it is longer than {LONGEST:,} bytes: this is not a caption")
            assert sample is not None  # noqa: S101 -- there are paths
            yield from sample.texts([(path.name, path.read_bytes())]) or [""]

    yield from packed(texts())
