"""Captions and their manifest, and a library with them, for the tests of snapshots and copies."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace

import numpy as np

from tests.contract.homes import DIMENSION, HOMES, vectors
from vectordb.captions import CANDIDATES, SOURCE, Caption
from vectordb.index import PAGE, Floats
from vectordb.library import ChangeableLibrary, Manifest

LAST_BIT = 2e-7


BOTH = [(one, other) for one in HOMES for other in HOMES]


CAPTIONS = [
    Caption.of(f"a bowl of soup, {number}", **{CANDIDATES: {"by": "phrases", "phrases": [["soup", False, 1.0]]}})
    for number in range(PAGE + 100)  # two pages
]


TAUGHT = Caption.of("a photo of a Moka pot ☕", **{SOURCE: "me", "added": "2026-01-02T03:04:05+00:00"})


MANIFEST = Manifest(
    "soups", "v1", "mini", DIMENSION, len(CAPTIONS), "a photo of {}", "2025-06-01T12:00:00+00:00",
    origin="soups.txt", read=2000, empty=3, duplicate=4, profile="phrases", source='["soups.txt"]', fault="cut off",
)  # fmt: skip


def built(library: ChangeableLibrary, captions: list[Caption] = CAPTIONS) -> None:
    with library.building("mini", "soups@v1", DIMENSION) as building:
        building.index.add(captions, vectors(captions))
        building.finish(replace(MANIFEST, count=len(captions)))
    index = library.open("mini", "soups@v1")
    index.add([TAUGHT], vectors([TAUGHT]))
    index.close()


def held(library: ChangeableLibrary, version: str = "soups@v1") -> tuple[list[Caption], Floats]:
    index = library.open("mini", version)
    pages = list(index.pages())
    index.close()
    return [caption for page, _ in pages for caption in page], np.concatenate([rows for _, rows in pages])


def equal(ours: Floats, theirs: Floats, target: str) -> None:
    """Bit for bit, but for qdrant-client's database in the process, which divides unit vectors by their length."""
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=LAST_BIT if target == "server" else 0)


def tar(*members: tuple[str | tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name) if isinstance(name, str) else name
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()
