"""A source: caption files of one format, read in order."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vectordb.readers import (
    clip_retrieval,
    delimited,
    detection,
    faiss_folder,
    img2dataset,
    isolated,
    json_array,
    json_lines,
    parquet,
    webdataset,
    wordnet,
)
from vectordb.readers.options import DETECTED, TextOptions
from vectordb.readers.rows import BadSource, OnProgress, Rows, is_stdin

FORMATS: tuple[str, ...] = detection.FORMATS

_TEXTS: dict[str, Callable[..., Iterator[Rows]]] = {
    detection.TEXT: delimited.read_text,
    detection.CSV: delimited.read_csv,
    detection.TSV: delimited.read_tsv,
    detection.JSONL: json_lines.read,
}
_ONE_FILE: dict[str, Callable[[Path, str | None, OnProgress], Iterator[Rows]]] = {
    detection.COCO: json_array.read,
    detection.PARQUET: parquet.read,
    detection.ARROW: parquet.read,
    detection.WEBDATASET: webdataset.read,
    detection.WORDNET: wordnet.read,
}
_FILES_TOGETHER: dict[str, Callable[[Sequence[Path], str | None, OnProgress], Iterator[Rows]]] = {
    detection.CLIP_RETRIEVAL: clip_retrieval.read,
    detection.FAISS: faiss_folder.read,
    detection.IMG2DATASET: img2dataset.read,
}
# read by libraries that believe what a file says of itself
_ISOLATED = {detection.PARQUET, detection.ARROW, detection.CLIP_RETRIEVAL, detection.FAISS, detection.IMG2DATASET}


@dataclass(frozen=True)
class Source:
    """Caption files of one format, as found by ``source_of``. Reads nothing before ``read``.

    ``files`` are in reading order and include the vector and caption files of a folder. ``column`` is the requested
    column's name, or its number from 1; ``None`` for the most likely one. ``options`` are for formats of text.
    """

    files: tuple[Path, ...]
    format: str
    column: str | None
    options: TextOptions = DETECTED

    @property
    def has_vectors(self) -> bool:
        """Whether the rows have vectors. Reads the first file's header if the format allows both."""
        if self.format in {detection.PARQUET, detection.ARROW}:
            return isolated.has_vectors(self.files[0], self.format)
        return self.format in {detection.CLIP_RETRIEVAL, detection.FAISS}

    def read(self, on_progress: OnProgress | None = None) -> Iterator[Rows]:
        """All rows, always the same and in the same order; standard input only once.

        ``on_progress`` receives how many bytes of ``size`` have been consumed. Raises ``BadSource`` at the first
        fault, after everything before it.
        """
        report = on_progress or (lambda _: None)
        if self.format in _ISOLATED:
            yield from isolated.read(self.files, self.format, self.column, report)
        else:
            yield from read_here(self.files, self.format, self.column, report, self.options)

    def fingerprint(self) -> str:
        """Changes with the source or with what is read of it: made of names, sizes and modification times.

        Always differs for standard input. Raises ``BadSource`` if a file is gone.
        """
        if any(map(is_stdin, self.files)):
            return secrets.token_hex(16)
        facts: list[object] = [self.format, self.column]
        if (self.options.delimiter, self.options.encoding) != (None, None):
            facts.append((self.options.delimiter, self.options.encoding))
        for file in self.files:
            try:
                stat = file.stat()
            except OSError as exc:
                raise BadSource(file, f"the file no longer exists: {exc.strerror}") from exc
            facts.append((file.name, stat.st_size, stat.st_mtime_ns))
        return hashlib.blake2b(repr(facts).encode(errors="surrogateescape"), digest_size=16).hexdigest()

    def size(self) -> int:
        """Bytes on disk; 0 for standard input."""
        return sum(map(_size, self.files))


def read_here(
    files: Sequence[Path],
    format: str,  # noqa: A002 -- the usual name
    column: str | None,
    report: OnProgress,
    options: TextOptions = DETECTED,
) -> Iterator[Rows]:
    """As ``Source.read``, in this process whatever the format."""
    if format in _FILES_TOGETHER:
        yield from _FILES_TOGETHER[format](files, column, report)
        return
    before = 0
    vectors: bool | None = None
    for file in files:

        def so_far(consumed: int, before: int = before) -> None:
            report(before + consumed)

        pieces = (
            _TEXTS[format](file, column, so_far, options)
            if format in _TEXTS
            else _ONE_FILE[format](file, column, so_far)
        )
        for rows in pieces:
            if vectors not in {None, rows.vectors is not None}:
                raise BadSource(file, f"it has {'no ' * bool(vectors)}vectors, unlike the files before it")
            vectors = rows.vectors is not None
            yield rows
        before += _size(file)
        report(before)


def source_of(
    paths: Sequence[str | Path],
    *,
    format: str | None = None,  # noqa: A002 -- the usual name
    column: str | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
) -> Source:
    """The source made of files and folders, in order; ``-`` is standard input.

    A folder stands for all its files of one format, in natural order, or for the format whose layout it has.
    ``format``, one of ``FORMATS``, overrides the detection. ``delimiter`` and ``encoding`` override what
    is detected in tables and text. Raises ``BadSource``.
    """
    if format not in {None, *FORMATS}:
        raise BadSource(
            Path(paths[0] if paths else "."), f"there is no format {format!r}; choose one of: {', '.join(FORMATS)}"
        )
    if not paths:
        raise BadSource(Path(), "no files are given")
    files: list[Path] = []
    found: str | None = None
    for path in map(Path, paths):
        one, inside = detection.expanded(path, format)
        if found not in {None, one}:
            raise BadSource(path, f"it is {one}, but {files[0]} is {found}: all files must have the same format")
        if files and one in {detection.CLIP_RETRIEVAL, detection.FAISS}:
            raise BadSource(path, f"only one {one} can be read at a time")
        found = one
        files += inside
    if delimiter is not None and found not in {detection.TEXT, detection.CSV, detection.TSV}:
        raise BadSource(files[0], f"a delimiter has no meaning for the format {found}")
    if encoding is not None and found not in _TEXTS:
        raise BadSource(files[0], f"an encoding has no meaning for the format {found}")
    return Source(tuple(files), str(found), column, TextOptions(delimiter, encoding, sure=format is not None))


def _size(path: Path) -> int:
    try:
        return 0 if is_stdin(path) else path.stat().st_size
    except OSError as exc:
        raise BadSource(path, f"the file no longer exists: {exc.strerror}") from exc
