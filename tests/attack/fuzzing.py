"""Feeds one group of readers with changed files until the time is over: ``python -m tests.attack.fuzzing GROUP SECONDS``.

atheris (libFuzzer) chooses the changes by what they reach, where it has a wheel for this Python; otherwise they are
drawn at random. Whatever is read ends with rows or with the reader's own error: anything else ends the process.
"""

from __future__ import annotations

import contextlib
import random
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

ATHERIS = find_spec("atheris") is not None
if ATHERIS:
    import atheris  # type: ignore[import-not-found, unused-ignore]  # not for every Python

    with atheris.instrument_imports(include=["vectordb", "tarfile", "gzip", "csv"]):
        import vectordb.archive
        import vectordb.readers
        import vectordb.snapshot  # noqa: F401 -- imported here to be instrumented

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

LONGEST_S, MEMORY_MIB = 20, 1500  # of one input, of this process
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
        import io  # noqa: PLC0415 -- for the seed only
        import zipfile  # noqa: PLC0415 -- as above

        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as out:
            out.writestr("in.zip", "a caption\n" * 20)
        server = (DATA / "server.tar.zst").read_bytes()  # not packed, whatever its name says
        return {"pages": (_snapshot, server), "tar": (_unpacked, server), "zip": (_zip, packed.getvalue())}
    assert group == "messages"
    entry = b'{"key":"a.jpg","label":"cat","said_at":1.5,"statement":{"label":"cat","accepted":true,"etag":"e","said_at":1.5}}'
    manifest = msgspec.json.encode(
        Manifest("a", "v1", "mini", 4, 1, None, "2026-01-01T00:00:00+00:00", thresholds={"a": 1.0})
    )
    return {"entry": (_entry, entry), "manifest": (_manifest, manifest)}


GROUPS = (*SOURCES, "archives", "messages")


def changed(data: bytes, dice: random.Random) -> bytes:
    """The data with bytes changed, a part cut out, doubled or zeroed, or the end cut off."""
    new = bytearray(data)
    for _ in range(dice.choice([1, 1, 2, 8])):
        at = dice.randrange(len(new)) if new else 0
        end = min(len(new), at + dice.choice([1, 2, 4, 8, 64, 600]))
        match dice.randrange(6):
            case 0:
                del new[at:]
            case 1:
                del new[at:end]
            case 2:
                new[at:at] = new[at:end]
            case 3:
                new[at:end] = bytes(end - at)
            case 4:
                new[at:end] = dice.randbytes(end - at)
            case _:
                new[at : at + 1] = bytes([dice.choice([0, 1, 127, 128, 255, dice.randrange(256)])])
    return bytes(new)


def main(group: str, seconds: float) -> None:
    """Try until the time is over. The number of tries is printed at the end."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "files"
        folder.mkdir()
        tried = list(targets(group, folder).values())
        if ATHERIS:
            _guided(Path(place), folder, tried, seconds)
        dice, count, end = random.Random(group), 0, time.monotonic() + seconds
        while time.monotonic() < end:
            target, good = dice.choice(tried)
            target(folder, changed(good, dice))
            count += 1
        print(f"{group}: {count} tries at random")


def _guided(place: Path, folder: Path, tried: list[tuple[Target, bytes]], seconds: float) -> None:
    """The first byte of an input chooses the reader. Ends the process."""
    corpus = place / "corpus"
    corpus.mkdir()
    for number, (_, good) in enumerate(tried):
        (corpus / str(number)).write_bytes(bytes([number]) + good)

    def one(data: bytes) -> None:
        if data:
            tried[data[0] % len(tried)][0](folder, data[1:])

    options = [f"-artifact_prefix={place}/", f"-max_total_time={seconds:.0f}", f"-timeout={LONGEST_S}", f"-rss_limit_mb={MEMORY_MIB}", "-seed=1"]
    largest = max(len(good) for _, good in tried) + 4096
    atheris.Setup([sys.argv[0], *options, f"-max_len={largest}", "-print_final_stats=1", str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
