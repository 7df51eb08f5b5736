"""A worker of extraction loads its parser at its start only where captions in use may have to be parsed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tasks.extraction.phrases import BY
from vectordb.index import IndexMissing
from vectordb.library import Manifest
from vectordb.starter import TEMPLATE
from workers.settings.settings import Settings
from workers.wiring.stages import stage_worker
from workers.wiring.wiring import Wiring


class Parser:
    """Counts how often it is warmed."""

    warmed = 0

    def warm(self) -> None:
        self.warmed += 1


class Captions:
    """A library with one version, or none that can be reached."""

    def __init__(self, manifest: Manifest | None) -> None:
        self._manifest = manifest

    def active(self, _: str) -> str:
        return "soups@1"

    def find(self, *_: str) -> Manifest:
        if self._manifest is None:
            raise IndexMissing("no captions")
        return self._manifest


def manifest(template: str | None = None, profile: str | None = None) -> Manifest:
    return Manifest("soups", "1", "space", 4, 1, template, "2025-06-01T12:00:00+00:00", profile=profile)


@pytest.mark.parametrize(
    ("found", "settings", "warmed"),
    [
        (manifest(TEMPLATE), {}, 0), (manifest(profile=BY), {}, 0), (manifest(), {}, 1), (None, {}, 1),
        (manifest(TEMPLATE), {"profile": "paper"}, 1),
        (manifest(TEMPLATE), {"qdrant_url": "http://127.0.0.1:1"}, 1),
    ],
    ids=["definitions", "parsed", "sentences", "unknown", "paper", "on a server"],
)  # fmt: skip
def test_the_parser_is_loaded_where_it_is_needed(
    found: Manifest | None, settings: dict[str, Any], warmed: int, tmp_path: Path
) -> None:
    wiring = Wiring(Settings(home=tmp_path, redis_url="redis://127.0.0.1:1/0", **settings))
    parser = Parser()
    vars(wiring).update(library=Captions(found), extractor=parser)
    stage_worker(wiring).loads["extraction"]()
    assert parser.warmed == warmed
