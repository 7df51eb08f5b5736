"""WordNet's nouns as captions."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.vectordb.readers.reading import broken, read, written
from vectordb.readers import BadSource, source_of

LICENCE = "  1 This software and database is being provided to you\n"


def data_noun() -> str:
    """Four meanings, each named by the byte where its line begins: a thing, kinds of it, and one of a kind."""
    at = len(LICENCE)
    thing = f"{at:08} 03 n 01 entity 0 000 | all there is\n"
    at += len(thing)
    place = f"{at:08} 15 n 02 high_place 0 height 0 001 @ {len(LICENCE):08} n 0000 | a gloss\n"
    at += len(place)
    mountain = f"{at:08} 17 n 01 mountain 0 001 @ {at - len(place):08} n 0000 | a gloss\n"
    at += len(mountain)
    peak = f"{at:08} 17 n 01 Mont_Blanc 0 001 @i {at - len(mountain):08} n 0000 | a gloss\n"
    return LICENCE + thing + place + mountain + peak


CAPTIONS = [
    "entity",
    "high place, a kind of entity",
    "height, a kind of entity",
    "mountain, a kind of high place",
    "Mont Blanc",
]


def test_every_word_of_every_meaning_gives_a_caption(tmp_path: Path) -> None:
    """By the folder or by its file; what is a kind of nothing is named alone."""
    path = written(tmp_path / "data.noun", data_noun())
    for place in (tmp_path, path):
        source = source_of([place])
        assert (source.format, source.files, source.has_vectors) == ("wordnet", (path,), False)
        assert read(place) == CAPTIONS


def test_a_file_that_is_cut_off_is_told(tmp_path: Path) -> None:
    """Within a line, with the line's number and everything before it."""
    texts, fault = broken(written(tmp_path / "data.noun", data_noun()[:-20]))
    assert (texts, fault.position) == (CAPTIONS[:4], "line 5")
    assert "truncated" in fault.fault


@pytest.mark.parametrize("change", [("@ 00000", "@ 99999"), (" 15 n 02", " 15 n zz"), (" | a gloss", "| a gloss é")])
def test_damage_is_told_with_its_line(tmp_path: Path, change: tuple[str, str]) -> None:
    """Pointers into nowhere, numbers that are none, letters of other scripts."""
    texts, fault = broken(written(tmp_path / "data.noun", data_noun().replace(*change, 1)))
    assert (texts, fault.position) == (CAPTIONS[:1], "line 3")


def test_lines_that_moved_are_told(tmp_path: Path) -> None:
    """A file whose line ends were converted points to wrong places: nobody reads wrong meanings from it."""
    texts, fault = broken(written(tmp_path / "data.noun", data_noun().replace("\n", "\r\n")))
    assert texts == []
    assert "begins at byte" in fault.fault


def test_what_is_no_wordnet_is_refused(tmp_path: Path) -> None:
    """Other text, nothing, a folder without nouns, a wish for a column."""
    path = written(tmp_path / "data.noun", "a cat\n")
    assert broken(path)[1].position == "line 1"
    assert "no columns" in broken(path, column="caption")[1].fault
    assert "cannot be read" in broken(written(path, ""))[1].fault
    path.unlink()
    with pytest.raises(BadSource, match=r"there is no data\.noun in it"):
        source_of([tmp_path], format="wordnet")
