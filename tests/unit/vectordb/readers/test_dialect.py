"""Tables as spreadsheets and databases write them: each is read as it was meant, or refused with the delimiter."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.unit.vectordb.readers.reading import broken, read, written
from vectordb.readers import ChooseColumn, source_of

THINGS = ("cat", "dog", "bicycle", "lighthouse", "kettle", "violin", "ladder", "owl")
PLACES = ("on a table", "in the snow", "at the beach", "in a museum", "beside a river", "under a bridge")
PLAIN = [f"a {thing} {place}" for thing in THINGS for place in PLACES]
COMMAS = [f"{text}, seen from above" for text in PLAIN]


def made(mark: str, texts: Sequence[str], *, header: bool = True, quote: str = "") -> str:
    """A table of captions, names of files, and licences."""
    rows = [["caption", "file", "licence"]] if header else []
    rows += [[text, f"IMG_{i:04}.jpg", "CC0"] for i, text in enumerate(texts)]
    return "".join(mark.join(f"{quote}{field}{quote}" for field in row) + "\n" for row in rows)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.txt", "unnamed"])
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("mark", [";", "\t", "|", "^", "\x01"])
def test_the_delimiter_is_detected_whatever_the_name_says(tmp_path: Path, name: str, header: bool, mark: str) -> None:
    """Captions with commas in them are no obstacle."""
    assert read(written(tmp_path / name, made(mark, COMMAS, header=header))) == COMMAS


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.txt"])
def test_commas_separate_where_captions_have_none_or_are_quoted(tmp_path: Path, name: str) -> None:
    """Also in a file that is called TSV, or text."""
    assert read(written(tmp_path / name, made(",", PLAIN))) == PLAIN
    assert read(written(tmp_path / name, made(",", COMMAS, quote='"'))) == COMMAS
    assert read(written(tmp_path / name, made(",", COMMAS, quote="'"))) == COMMAS


@pytest.mark.parametrize(
    ("data", "texts"),
    [
        ("sep=;\n" + made(";", COMMAS), COMMAS),
        (made(";", COMMAS).replace("\n", "\r"), COMMAS),
        ("\ufeff" + made(";", COMMAS).replace("\n", "\r\n"), COMMAS),
        ("text;wert\n" + "".join(f"{text};0,{i}\n" for i, text in enumerate(PLAIN)), PLAIN),
        ("".join(f"{text};0,{i}\n" for i, text in enumerate(PLAIN)), PLAIN),
        ("Datei;Beschreibung\n" + "".join(f"{i}.jpg;{text}\n" for i, text in enumerate(COMMAS)), COMMAS),
        ("file, caption\n" + "".join(f'{i}.jpg, "{text}"\n' for i, text in enumerate(COMMAS)), COMMAS),
        ("caption\n" + "".join(f"{text}\n" for text in COMMAS), COMMAS),
        ("".join(f'"{text}"\n' for text in COMMAS), COMMAS),
        ("".join(f"{text}\n" for text in PLAIN), PLAIN),
        (
            "file,caption\n" + "".join(f'{i}.jpg,"a \\"{text}\\", yes"\n' for i, text in enumerate(PLAIN)),
            [f'a "{text}", yes' for text in PLAIN],
        ),
        (
            "id;caption\n" + "".join(f'{i};"{text}; or,\nso; it seems"\n' for i, text in enumerate(PLAIN)),
            [f"{text}; or,\nso; it seems" for text in PLAIN],
        ),
    ],
)
def test_other_habits_of_those_who_write_tables(tmp_path: Path, data: str, texts: list[str]) -> None:
    """A line for spreadsheets, line ends of old systems, decimal commas, unknown names, quotes of all kinds."""
    assert read(written(tmp_path / "a.csv", data)) == texts


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_tables_in_other_encodings(tmp_path: Path, encoding: str) -> None:
    """As spreadsheets save "Unicode text", and older ones save CSV."""
    texts = [f"{text} près du café" for text in PLAIN]
    assert read(written(tmp_path / "a.csv", made("\t", texts).encode(encoding))) == texts


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("".join(f"{text}\n" for text in COMMAS), "','"),
        ("file,caption\n" + "".join(f"{i}.jpg,{text}\n" for i, text in enumerate(COMMAS)), "names 2 columns"),
        ("file,caption\n" + "".join(f"{i}.jpg,{t}\n" for i, t in enumerate([*PLAIN[:24], *COMMAS[:24]])), "','"),
        ("".join(f"{text}\n" for text in [*PLAIN[:24], *COMMAS[:24]]), "','"),
        ("".join(f"{i}.jpg#{text}\n" for i, text in enumerate(PLAIN)), "'#'"),
    ],
)
def test_what_cannot_be_decided_is_refused_with_the_delimiter(tmp_path: Path, data: str, said: str) -> None:
    """Whole lines are not taken for captions, nor are captions cut at their commas."""
    path = written(tmp_path / "a.csv", data)
    texts, fault = broken(path)
    assert not texts
    assert said in fault.fault
    assert "--format text" in fault.fault
    assert len(read(path, format="text")) == data.count("\n")


def test_a_delimiter_can_be_named(tmp_path: Path) -> None:
    """By its character, or by its name; what is none is refused."""
    path = written(tmp_path / "a.csv", "".join(f"{i}.jpg#{text}\n" for i, text in enumerate(COMMAS)))
    assert read(path, delimiter="#") == COMMAS
    assert read(written(tmp_path / "b.csv", made("\t", COMMAS)), delimiter="tab") == COMMAS
    assert "one character" in broken(path, delimiter="##")[1].fault


def test_a_column_of_other_things_is_not_taken_for_captions(tmp_path: Path) -> None:
    """The values decide, the name is a hint: in doubt, the columns are shown, each with an example."""
    others = {
        "jpg": "{i}.jpg", "url": "https://x.org/{i}", "sha": "{i:032x}", "n": "{i}",
        "day": "2020-01-{i:02}", "lang": "en", "right": "CC BY-SA 4.0",
        "key": "COCO_train_{i:08}", "part": "train", "size": "640x480",
    }  # fmt: skip
    for name, value in others.items():
        table = "caption,remark\n" + "".join(f"{value.format(i=i)},{text}\n" for i, text in enumerate(PLAIN))
        assert read(written(tmp_path / f"{name}.csv", table)) == PLAIN
        alone = "caption\n" + "".join(f"{value.format(i=i)}\n" for i in range(30))
        texts, _ = broken(written(tmp_path / f"{name}1.csv", alone))
        assert not texts
    path = written(tmp_path / "two.csv", "left,right\n" + "".join(f"{text},{text} again\n" for text in PLAIN))
    with pytest.raises(
        ChooseColumn, match=r"choose one of: left, right.*\n  left: captions, such as 'a cat on a table'"
    ) as raised:
        list(source_of([path]).read())
    again = pickle.loads(pickle.dumps(raised.value))  # noqa: S301 -- our own
    assert (str(again), again.columns) == (str(raised.value), raised.value.columns)
    assert read(path, column="right")[0] == "a cat on a table again"


def test_the_column_that_was_chosen_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id;caption;lang\n1;a dog runs on grass;en\n2;a red car in the snow;en\n")
    (rows,) = source_of([tmp_path / "a.csv"]).read()
    assert rows.texts == ["a dog runs on grass", "a red car in the snow"]
    assert "a.csv: captions are in the column 'caption'" in rows.notes


def test_a_requested_column_of_other_things_is_noted(tmp_path: Path) -> None:
    """It is read, because it was asked for."""
    (rows,) = source_of([written(tmp_path / "a.csv", made(";", PLAIN))], column="file").read()
    assert rows.texts[0] == "IMG_0000.jpg"
    assert any("holds file names" in note for note in rows.notes)
