"""Shows that what can be read is read, and that the rest is named by its line or its folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.evaluation.manifest import BadManifest, Item, Labelled, read


def table(folder: Path, *lines: bytes) -> Path:
    for name in ("a.png", "b.png", "ü.png"):
        (folder / name).write_bytes(b"x")
    (folder / "set.tsv").write_bytes(b"\n".join(lines))
    return folder / "set.tsv"


def test_rows_become_items_with_their_lines(tmp_path: Path) -> None:
    found = read(table(tmp_path, b"path\tlabel", b"a.png\tred fox", b"", "ü.png\tcôte ".encode()))
    assert found.items == (
        Item(tmp_path / "a.png", "red fox", "line 2"),
        Item(tmp_path / "ü.png", "côte", "line 4"),
    )
    assert (found.skipped, found.labels) == ((), ["côte", "red fox"])


def test_columns_may_stand_in_any_order_beside_others(tmp_path: Path) -> None:
    lines = b"\xef\xbb\xbfLabel\tsplit\tPath\r", b"fox\ttest\ta.png\r"
    assert read(table(tmp_path, *lines)).items == (Item(tmp_path / "a.png", "fox", "line 2"),)


def test_each_bad_row_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    found = read(
        table(
            tmp_path, b"path\tlabel", b"gone.png\tcat", b"a.png", b"b.png\t  ", b"\tdog", b"a.png\tcat\textra",
            b".\tdog", b"a.png\t\xff\xfe", b"nul\0.png\tcat", b"a.png\tgood",
        ),
        tmp_path,
    )  # fmt: skip
    assert [item.label for item in found.items] == ["good"]
    said = [str(one) for one in found.skipped]
    assert [one.partition(":")[0] for one in said] == [f"line {number}" for number in range(2, 10)]
    reasons = ["does not exist", "1 columns", "label is empty", "path is empty", "3 columns", "not a file", "UTF-8",
               "does not exist"]  # fmt: skip
    assert all(reason in one for reason, one in zip(reasons, said, strict=True)), said


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([b"file\tclass", b"a.png\tcat"], r"line 1: .*path and label.*file \| class"),
        ([b"path,label", b"a.png,cat"], "line 1: .*separated by a tab"),
        ([b""], "line 1"),
        ([b"path\tlabel"], "only its header"),
        ([b"path\tlabel", b"x.png\tcat"], "line 2: x.png: the file does not exist"),
    ],
)
def test_a_table_of_which_nothing_is_left_says_why(tmp_path: Path, lines: list[bytes], message: str) -> None:
    with pytest.raises(BadManifest, match=message):
        read(table(tmp_path, *lines))


def test_a_place_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadManifest, match=r"nowhere\.tsv does not exist"):
        read(tmp_path / "nowhere.tsv")
    with pytest.raises(BadManifest, match=r"the folder .*elsewhere.* does not exist"):
        read(table(tmp_path, b"path\tlabel"), tmp_path / "elsewhere")
    with pytest.raises(BadManifest, match="contains no folders"):
        read(tmp_path)


def test_folders_are_classes(tmp_path: Path) -> None:
    for name in ("bell_pepper/1.jpg", "bell_pepper/more/2.jpg", "bell_pepper/.hidden.jpg", "cat/3.jpg", "loose.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "dog").mkdir()
    (tmp_path / ".git").mkdir()
    found = read(tmp_path)
    assert [(item.path.name, item.label) for item in found.items] == [
        ("1.jpg", "bell pepper"), ("2.jpg", "bell pepper"), ("3.jpg", "cat"),
    ]  # fmt: skip
    said = [str(one) for one in found.skipped]
    assert said == ["folder dog: it contains no images", "loose.jpg: it is not in the folder of a class"]


def test_a_limit_takes_from_the_whole_set() -> None:
    items = tuple(Item(Path(str(at)), "x", "") for at in range(10))
    labelled = Labelled(Path(), items, ())
    assert [int(item.path.name) for item in labelled.spread(4)] == [0, 2, 5, 7]
    assert labelled.spread(None) == labelled.spread(99) == items


def test_a_row_may_have_several_labels_and_a_subject(tmp_path: Path) -> None:
    rows = b"path\tlabels\tsubject", b"a.png\tred fox| fox |\tanimals", b"b.png\t| \tanimals"
    found = read(table(tmp_path, *rows))
    assert found.items == (Item(tmp_path / "a.png", "red fox", "line 2", ("fox",), "animals"),)
    assert found.items[0].labels == ("red fox", "fox")
    assert [str(one) for one in found.skipped] == ["line 3: the label is empty"]
