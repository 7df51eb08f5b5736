"""The readers that are fuzzed, in groups, each with a good file to begin with.

Whatever is read ends with rows or with the reader's own error: anything else is a finding.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from tests.unit.vectordb.readers.test_damage import MAKERS
from vectordb.archive import Archive, BadArchive
from vectordb.decoders import from_json
from vectordb.library import BadSnapshot, Manifest, UnsafeName
from vectordb.readers import BadSource, source_of
from vectordb.snapshot import reading
from vectordb.snapshot_parts import manifest_of
from vectordb.unpacking import Limits, check, take_out, unpack
from workers.images.label_check import BadLabel
from workers.images.statement_journal import BadEntry, Entry, checked_entry
from workers.lifecycle.statements import Statement

ROWS_MAX = 200_000
DATA = Path(__file__).parents[1] / "data" / "snapshots"
Target = Callable[[Path, bytes], None]

SOURCES = {
    "text": ("a.txt", "a.csv", "a.tsv", "a.jsonl", "a.json", "data.noun"),
    "packed": ("a.txt.gz", "a.txt.zst", "a.tar"),
    "columns": ("a.parquet", "a.arrow", "stream.arrow"),
    "vectors": ("text_emb/text_emb_0.npy", "text.index"),
}


def _source(name: str) -> Target:
    def read(folder: Path, data: bytes) -> None:
        path = folder / name
        path.write_bytes(data)
        with contextlib.suppress(BadSource):
            count = 0
            for rows in source_of([folder if "/" in name or name == "text.index" else path]).read():
                assert all(isinstance(text, str) for text in rows.texts)
                assert rows.vectors is None or len(rows.vectors) == len(rows.texts)
                count += len(rows.texts)
                if count > ROWS_MAX:
                    break

    return read


def _snapshot(folder: Path, data: bytes) -> None:
    (folder / "saved").write_bytes(data)
    with contextlib.suppress(BadSnapshot, UnsafeName), reading(folder / "saved", folder / "scratch") as saved:
        for _ in saved.pages():
            pass


def _unpacked(folder: Path, data: bytes) -> None:
    (folder / "saved.tar").write_bytes(data)
    with tempfile.TemporaryDirectory(dir=folder) as place, contextlib.suppress(BadArchive):
        for work in (check, lambda *rest: unpack(rest[0], rest[1], Path(place), rest[2])):
            with (folder / "saved.tar").open("rb") as file:
                archive = Archive(file)
                work(archive, archive, Limits(1 << 24, 1 << 22))
    assert {path.name for path in folder.iterdir()} <= {"saved.tar", "saved", "scratch", "a.zip", "in.zip"}


def _zip(folder: Path, data: bytes) -> None:
    (folder / "a.zip").write_bytes(data)
    with contextlib.suppress(BadArchive):
        take_out(folder / "a.zip", "in.zip", folder / "in.zip")


def _entry(_: Path, data: bytes) -> None:
    with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, BadEntry, BadLabel):
        entry = from_json(data, Entry)
        checked_entry(entry, 1e10)
        assert len(entry.label) <= 100


def _manifest(_: Path, data: bytes) -> None:
    with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, BadSnapshot, UnsafeName):
        manifest_of(from_json(data, dict[str, object]))


def targets(group: str, folder: Path) -> Mapping[str, tuple[Target, bytes]]:
    """The readers of a group, each with a good file."""
    if group in SOURCES:
        for name in SOURCES[group]:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            MAKERS[name](folder / name)
        return {name: (_source(name), (folder / name).read_bytes()) for name in SOURCES[group]}
    if group == "archives":
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as out:
            out.writestr("in.zip", "a caption\n" * 20)
        server = (DATA / "server.tar.zst").read_bytes()  # not packed, whatever its name says
        return {"pages": (_snapshot, server), "tar": (_unpacked, server), "zip": (_zip, packed.getvalue())}
    assert group == "messages"
    entry = msgspec.json.encode(Entry("a.jpg", "cat", 1.5, Statement("cat", True, "e", 1.5, bytes(32))))
    manifest = msgspec.json.encode(
        Manifest("a", "v1", "mini", 4, 1, None, "2026-01-01T00:00:00+00:00", thresholds={"a": 1.0})
    )
    return {"entry": (_entry, entry), "manifest": (_manifest, manifest)}


GROUPS = (*SOURCES, "archives", "messages")
