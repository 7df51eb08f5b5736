"""Caption files that were made to do harm: small ones that take gigabytes or minutes, and headers that lie."""

from __future__ import annotations

import struct
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]  # no annotations
from pyarrow import feather, parquet

from vectordb import zstd

MIB = 1 << 20


def parquet_value(path: Path) -> None:
    """One caption of 1 MiB, 3,000 times: 3 GB of text in some hundred bytes."""
    column = pa.DictionaryArray.from_arrays(np.zeros(3000, np.int32), [b"a" * MIB])
    parquet.write_table(pa.table({"caption": column}), path, compression="zstd", store_schema=False)


def parquet_vector(path: Path) -> None:
    """One vector of 30 million numbers."""
    values = pa.array(np.zeros(30_000_000, np.float32))
    vectors = pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), values)
    parquet.write_table(pa.table({"text": ["a"], "vector": vectors}), path, compression="zstd")


def arrow_value(path: Path) -> None:
    """The same of Arrow, whose dictionaries are expanded by their reader."""
    column = pa.DictionaryArray.from_arrays(np.zeros(3000, np.int32), ["a" * MIB])
    feather.write_feather(pa.table({"caption": column}), str(path), compression="zstd")


def arrow_length(path: Path) -> None:
    """A compressed buffer that says it has a terabyte."""
    feather.write_feather(pa.table({"caption": ["a" * MIB]}), str(path), compression="zstd")
    data = path.read_bytes()
    prefix = struct.pack("<q", MIB)
    assert prefix in data
    path.write_bytes(data.replace(prefix + zstd.MAGIC, struct.pack("<q", 1 << 40) + zstd.MAGIC))


def npy_shape(path: Path) -> None:
    """A file of holes whose one vector has 2**37 numbers."""
    _beside(path, 1)
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 137438953472), }".ljust(117) + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
    with path.open("r+b") as file:
        file.truncate(128 + (1 << 39))


def npy_pickle(path: Path) -> None:
    """An array of objects, which are pickled code."""
    _beside(path, 1)
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)


def npy_header(path: Path) -> None:
    """A header of brackets, which a parser of Python would follow."""
    _beside(path, 1)
    path.write_bytes(b"\x93NUMPY\x02\x00" + struct.pack("<I", 40 * MIB) + b"(" * 40 * MIB)


def faiss_dimension(path: Path) -> None:
    """A file of holes with one vector of 2**30 numbers."""
    (path.parent / "metadata").mkdir()
    parquet.write_table(pa.table({"caption": ["a"]}), path.parent / "metadata" / "0.parquet")
    path.write_bytes(b"IxFI" + struct.pack("<iqqqBiQ", 1 << 30, 1, 0, 0, 1, 0, 1 << 30))
    with path.open("r+b") as file:
        file.truncate(64 + (1 << 32))


def json_depth(path: Path) -> None:
    """Brackets within brackets, on the line by which the format is detected."""
    path.write_bytes(b'{"a":' + b"[" * 60_000 + b"\n")


def json_deeper(path: Path) -> None:
    """The same in the second object."""
    path.write_bytes(b'{"caption":"a"}\n{"caption":"b","c":' + b"[" * 500_000 + b"]" * 500_000 + b"}\n")


def json_item(path: Path) -> None:
    """One annotation with ten million numbers."""
    path.write_bytes(b'{"annotations":[{"caption":"a","segmentation":[' + b"1.5," * 10_000_000 + b"1]}]}")


def json_keys(path: Path) -> None:
    """One annotation with a million keys."""
    path.write_bytes(b'[{"caption":"a",' + b",".join(b'"k%d":1' % n for n in range(2_000_000)) + b"}]")


def csv_row(path: Path) -> None:
    """One row of twenty million fields, each with a line break."""
    path.write_bytes(b'"\n",' * 20_000_000)


def tsv_fields(path: Path) -> None:
    """A hundred rows of a million empty fields."""
    path.write_bytes((b"\t" * (MIB - 2) + b"\n") * 100)


def text_lines(path: Path) -> None:
    """Four hundred lines, each as long as a line may be."""
    with path.open("wb") as out:
        for _ in range(400):
            out.write(b"a" * (MIB - 2) + b"\n")


def text_endless(path: Path) -> None:
    """Four billion empty captions."""
    _packed(path, (b"\n" * 16 * MIB for _ in range(256)))


def text_lines_packed(path: Path) -> None:
    """``text_lines`` in some kilobytes."""
    _packed(path, (b"a" * (MIB - 2) + b"\n" for _ in range(4096)))


def tar_digits(path: Path) -> None:
    """An extended header of digits, for which regular expressions take quadratic time."""
    header = tarfile.TarInfo("pax")
    header.type = tarfile.XHDTYPE
    _tar(path, [(header, b"1" * 900_000)] * 2)


def tar_headers(path: Path) -> None:
    """Global headers, each with other keys, which are kept to the end."""
    members = []
    for number in range(400):
        header = tarfile.TarInfo("pax")
        header.type = tarfile.XGLTYPE
        value = f" key{number}=" + "a" * 900_000 + "\n"
        members.append((header, f"{len(value) + 6}{value}".encode()))
        members.append((tarfile.TarInfo(f"{number}.txt"), b"a caption"))
    _tar(path, members)


def wordnet_line(path: Path) -> None:
    """One line of 3 GB, of holes."""
    with path.open("wb") as file:
        file.truncate(3 << 30)


def wordnet_pointers(path: Path) -> None:
    """A synset that says it has a billion pointers."""
    path.write_bytes(b"00000000 03 n 01 cat 0 1000000000 @ 00000000 n 0000 | a cat\n")


def _beside(path: Path, count: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent.parent / "metadata").mkdir()
    table = pa.table({"caption": ["a"] * count})
    parquet.write_table(table, path.parent.parent / "metadata" / "metadata_0.parquet")


def _packed(path: Path, pieces: Iterable[bytes]) -> None:
    with zstd.ZstdFile(path, "w") as out:
        for piece in pieces:
            out.write(piece)


def _tar(path: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    with path.open("wb") as out:
        for member, content in members:
            member.size = len(content)
            out.write(member.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-len(content) % 512))
        out.write(bytes(1024))


ATTACKS: dict[str, tuple[str, Callable[[Path], None]]] = {
    make.__name__: (name, make)
    for name, make in [
        ("a.parquet", parquet_value), ("a.parquet", parquet_vector), ("a.arrow", arrow_value),
        ("a.arrow", arrow_length), ("text_emb/text_emb_0.npy", npy_shape), ("text_emb/text_emb_0.npy", npy_pickle),
        ("text_emb/text_emb_0.npy", npy_header), ("text.index", faiss_dimension), ("a.json", json_depth),
        ("a.jsonl", json_deeper), ("a.json", json_item), ("a.json", json_keys), ("a.csv", csv_row),
        ("a.tsv", tsv_fields), ("a.txt", text_lines), ("a.txt.zst", text_endless), ("a.txt.zst", text_lines_packed),
        ("a.tar", tar_digits), ("a.tar", tar_headers), ("data.noun", wordnet_line), ("data.noun", wordnet_pointers),
    ]
}  # fmt: skip


def made(name: str, folder: Path) -> Path:
    """Write the files of an attack. Returns what to give to the reader."""
    file, make = ATTACKS[name]
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    make(path)
    return folder if "/" in file else path
