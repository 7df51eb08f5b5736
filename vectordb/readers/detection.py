"""Detects the files of a path and their format, by folder layout, suffix, and first bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from vectordb.readers import clip_retrieval, faiss_folder, img2dataset, wordnet
from vectordb.readers.choice import choose
from vectordb.readers.encodings import UTF8, encoding_of
from vectordb.readers.json_lines import columns_of
from vectordb.readers.rows import BadSource, is_stdin
from vectordb.readers.stream import PACKED_ARCHIVES, PACKED_SUFFIXES, head

TEXT, CSV, TSV, JSONL, COCO, PARQUET, ARROW = "text", "csv", "tsv", "jsonl", "coco", "parquet", "arrow"
WEBDATASET, WORDNET, CLIP_RETRIEVAL, FAISS = "webdataset", "wordnet", "clip-retrieval", "faiss"
IMG2DATASET = "img2dataset"
# read sequentially, so also from standard input
STREAMED = (TEXT, CSV, TSV, JSONL, COCO, WEBDATASET)
# formats of a whole folder, although its index or data file may be given instead
FOLDERS = (WORDNET, CLIP_RETRIEVAL, FAISS, IMG2DATASET)
FORMATS = (*STREAMED, PARQUET, ARROW, *FOLDERS)

_SUFFIXES = {
    ".txt": TEXT,
    ".csv": CSV,
    ".tsv": TSV,
    ".tab": TSV,
    ".psv": CSV,
    ".jsonl": JSONL,
    ".ndjson": JSONL,
    ".json": COCO,
    ".parquet": PARQUET,
    ".pq": PARQUET,
    ".arrow": ARROW,
    ".feather": ARROW,
    ".tar": WEBDATASET,
    **dict.fromkeys(PACKED_ARCHIVES, WEBDATASET),
    ".index": FAISS,
}
# enough for a first line of JSON, and for the magic number of tar
_HEAD = 1 << 16
# the beginning of one value on many lines, or of a list of objects
_ONE_VALUE = re.compile(r"[\[{]\s*\n|\[\s*\{")
_DIGITS = re.compile(r"(\d+)")


# files of Hugging Face's datasets that describe the others
_ABOUT = {"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"}


def expanded(path: Path, format: str | None) -> tuple[str, tuple[Path, ...]]:  # noqa: A002 -- the callers' word for it
    """The format of a path and its files in order. Raises ``BadSource``."""
    if is_stdin(path):
        if format not in {None, *STREAMED}:
            raise BadSource(path, f"{format} cannot be read from a pipe; use one of: {', '.join(STREAMED)}")
        return format or TEXT, (path,)
    if not path.exists():
        raise BadSource(path, "there is no such file or folder")
    if path.is_dir():
        return _folder(path, format)
    # a named pipe must not be read yet
    found = format or (_of_file(path) if path.is_file() else TEXT)
    if found == CLIP_RETRIEVAL:
        raise BadSource(path, "give the folder that holds text_emb and metadata")
    return found, faiss_folder.files(path, natural) if found == FAISS else (path,)


def natural(path: Path) -> list[tuple[int, str]]:
    """Sort key for natural order: part-2 before part-10."""
    return natural_text(path.name)


def natural_text(text: str) -> list[tuple[int, str]]:
    """The same for any text."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in _DIGITS.split(text) if part]


def _folder(folder: Path, format: str | None) -> tuple[str, tuple[Path, ...]]:  # noqa: A002 -- as above
    layout = format if format in FOLDERS else None if format else _layout(folder)
    if layout == WORDNET:
        if not (folder / wordnet.DATA).is_file():
            raise BadSource(folder, f"there is no {wordnet.DATA} in it")
        return layout, (folder / wordnet.DATA,)
    if layout is not None:
        return layout, _LAYOUTS[layout](folder)
    there = sorted(
        (p for p in folder.iterdir() if p.is_file() and p.name[0] not in "._" and p.name not in _ABOUT), key=natural
    )
    by_format: dict[str | None, list[Path]] = {}
    for file in there:
        by_format.setdefault(_by_suffix(file), []).append(file)
    known = [name for name in by_format if name is not None]
    if format:
        # .json may contain one object per line, whatever the detection would return
        files = by_format.get(format) or (by_format.get(COCO) if format == JSONL else None) or by_format.get(None)
        if not files:
            raise BadSource(folder, f"there are no files of the format {format} in it")
        return format, tuple(files)
    if len(known) > 1:
        raise BadSource(folder, f"it holds files of several formats; choose one: {', '.join(sorted(known))}")
    if not known:
        inside = "only files of unknown formats; choose one with --format" if there else "no files"
        raise BadSource(folder, f"there are {inside}")
    files = by_format[known[0]]
    if known[0] in {TEXT, CSV, TSV}:
        _of_file(files[0])
    return (_of_file(files[0]) if known[0] == COCO else known[0]), tuple(files)


_LAYOUTS: dict[str, Callable[[Path], tuple[Path, ...]]] = {
    CLIP_RETRIEVAL: clip_retrieval.files,
    FAISS: lambda folder: faiss_folder.files(folder, natural),
    IMG2DATASET: img2dataset.files,
}


def _layout(folder: Path) -> str | None:
    """The format whose layout a folder has."""
    if (folder / wordnet.DATA).is_file():
        return WORDNET
    if (folder / clip_retrieval.VECTORS).is_dir():
        return CLIP_RETRIEVAL
    if (folder / faiss_folder.INDEX).is_file():
        return FAISS
    if img2dataset.is_output(folder):
        return IMG2DATASET
    if (folder / clip_retrieval.METADATA).is_dir():
        raise BadSource(folder, "it holds captions in metadata, but neither text_emb nor text.index")
    return None


def _by_suffix(path: Path) -> str | None:
    """The format of a file name's suffix."""
    if path.name == wordnet.DATA:
        return WORDNET
    suffixes = path.suffixes
    if suffixes and suffixes[-1].lower() in PACKED_SUFFIXES and suffixes[-1].lower() not in PACKED_ARCHIVES:
        suffixes.pop()
    return _SUFFIXES.get(suffixes[-1].lower()) if suffixes else None


def _of_file(path: Path) -> str:
    """The format of one file. Raises ``BadSource`` if it cannot be detected."""
    named = _by_suffix(path)
    if named not in {None, COCO, JSONL, TEXT, CSV, TSV}:
        return str(named)
    raw = head(path, _HEAD)
    if not named and (found := _by_magic(raw)):
        return found
    if what := _no_captions(raw):
        raise BadSource(path, what, "byte 0")
    if named in {TEXT, CSV, TSV}:
        return str(named)
    start = _as_text(path, raw)
    return _of_text(path, named, start.decode("utf-8-sig", errors="replace").lstrip())


def _of_text(path: Path, named: str | None, text: str) -> str:
    """The format of a file that begins with this text."""
    if named == JSONL:
        return COCO if _ONE_VALUE.match(text) else JSONL
    if text.startswith(("{", "[")):
        return JSONL if _is_lines(path, text) else COCO
    if named:
        return named
    if not text:
        raise BadSource(path, "the file is empty, and its name has no known suffix")
    if "\0" in text or text.count("\ufffd") > max(1, len(text) // 50):
        raise BadSource(path, f"unknown format; choose one of: {', '.join(FORMATS)}")
    return TEXT  # the reader finds out whether it is a table


def _as_text(path: Path, start: bytes) -> bytes:
    """The first bytes of a file as UTF-8, if they are text in another encoding."""
    encoding, mark = encoding_of(path, start)
    if encoding == UTF8:
        return start
    return start[mark:].decode(encoding, "ignore").encode("utf-8", "replace")


_MAGIC = {
    b"PK\3\4": "a ZIP archive, or a document of an office program: unpack it, or save the table as CSV",
    b"%PDF-": "a PDF document", b"\xff\xd8\xff": "a picture", b"\x89PNG": "a picture", b"GIF8": "a picture",
    b"\xd0\xcf\x11\xe0": "a document of an office program: save the table as CSV",
    b"7z\xbc\xaf": "a 7z archive: unpack it",
    b"Rar!": "a RAR archive: unpack it", b"SQLite format 3": "an SQLite database: export a table as CSV",
    b"\x89HDF": "an HDF5 file", b"PAR1": "a Parquet file: run with --format parquet",
    b"ARROW1": "an Arrow file: run with --format arrow", b"\x93NUMPY": "a NumPy array",
    b"version https://git-lfs": "a pointer of Git LFS, not the file itself: run git lfs pull",
}  # fmt: skip
_HTML = re.compile(rb"\s*(?:<!doctype html|<html[\s>]|<\?xml)", re.IGNORECASE)


def _no_captions(start: bytes) -> str | None:
    """What a file is that begins with these bytes, if it is neither text nor an archive of samples."""
    found = next((what for magic, what in _MAGIC.items() if start.startswith(magic)), None)
    if found is None and _HTML.match(start.removeprefix(b"\xef\xbb\xbf")):
        found = "a page of HTML, or XML, often in place of a download that failed"
    return found and f"it is {found}"


def _by_magic(start: bytes) -> str | None:
    """The format of a file's first bytes."""
    if start.startswith(b"PAR1"):
        return PARQUET
    if start.startswith(b"ARROW1"):
        return ARROW
    if start.startswith((*faiss_folder.FLAT, b"IxPT", b"IwFl", b"IwPQ", b"IwSQ", b"IHNf", b"IHNs", b"IxSQ", b"IxPq")):
        return FAISS
    return WEBDATASET if start[257:262] == b"ustar" else None


def _is_lines(path: Path, text: str) -> bool:
    """Whether JSON has one object per line: the first line is one, and more follows or it holds captions itself."""
    line, _, rest = text.partition("\n")
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return False
    if isinstance(row, list):
        return bool(rest.strip())
    if not isinstance(row, dict) or rest.strip():
        return isinstance(row, dict)
    if any(
        isinstance(value, dict | list) and any(isinstance(one, dict | list) for one in value)
        for value in row.values()
    ):
        return False  # lists of objects, such as COCO's annotations, or of rows
    try:
        choose(path, columns_of([row]), None)
    except BadSource:
        return False
    return True
