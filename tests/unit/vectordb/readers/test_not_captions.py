"""What stands beside captions in a file is not taken for one: titles, names, numbers, questions, other lists."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from tests.unit.vectordb.readers.reading import broken, read, written
from vectordb.readers import source_of

TEXTS = ["a man rides a red bicycle", "two dogs play in the snow", "an old woman sells apples", "a train leaves",
         "children run on the beach", "a bowl of soup with bread", "the cat sleeps on a sofa"]  # fmt: skip
ROWS = "".join(f"{i}.jpg,{text}\n" for i, text in enumerate(TEXTS))


def imported(path: Path) -> list[str]:
    """The captions, without rows that are left out."""
    return [text for rows in source_of([path]).read() for i, text in enumerate(rows.texts) if i not in rows.skipped]


@pytest.mark.parametrize(
    "above",
    [
        "My captions\n",
        "My captions,\n,\n",
        "Export of captions, 2024\n\nmade by hand\n",
        "# a comment\n# another, with a comma\n",
        "Pictures, of the sea\n",
    ],
)
@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_titles_above_the_names_of_the_columns_are_no_captions(tmp_path: Path, above: str, mark: str) -> None:
    """Nor are the names themselves; the rows above are reported."""
    path = written(tmp_path / "a.csv", (above + "file,caption\n" + ROWS).replace(",", mark))
    assert imported(path) == TEXTS
    assert all(one.reason == "ragged" for rows in source_of([path]).read() for one in rows.skipped.values())


def test_the_names_of_columns_are_no_captions_where_files_were_joined(tmp_path: Path) -> None:
    """As ``cat a.csv b.csv`` does it."""
    path = written(tmp_path / "a.csv", 2 * ("file,caption\n" + ROWS))
    assert imported(path) == 2 * TEXTS


@pytest.mark.parametrize("start", ["{i}. ", "{i:06} ", "img_{i} ", "n0{i}123 ", "({i}) "])
def test_lines_that_begin_with_numbers_are_refused(tmp_path: Path, start: str) -> None:
    """The numbers would be parts of the captions. With the format they are read."""
    lines = [start.format(i=i) + text for i, text in enumerate(TEXTS)]
    path = written(tmp_path / "a.txt", "\n".join(lines))
    texts, fault = broken(path)
    assert not texts
    assert "--format text" in fault.fault
    assert read(path, format="text") == lines
    path = written(tmp_path / "a.txt", "\n".join(["2 dogs on a beach", "3 cats", *TEXTS]))
    assert len(read(path)) == len(TEXTS) + 2


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_lists_of_names_and_captions_are_rows(tmp_path: Path, name: str) -> None:
    """Not several captions each; a null moves no value to another place."""
    rows: list[list[str | None]] = [[f"{i}.jpg", text] for i, text in enumerate(TEXTS)]
    data = json.dumps(rows) if name == "a.json" else "\n".join(map(json.dumps, rows))
    assert read(written(tmp_path / name, data)) == TEXTS
    rows = [[f"{i}.jpg", text if i != 2 else None, f"http://x/{i}"] for i, text in enumerate(TEXTS)]
    data = json.dumps(rows) if name == "a.json" else "\n".join(map(json.dumps, rows))
    assert read(written(tmp_path / name, data)) == [text if i != 2 else "" for i, text in enumerate(TEXTS)]
    rows = [[f"{i}.jpg", text, None][: 2 - i % 2] for i, text in enumerate(TEXTS)]
    data = json.dumps(rows) if name == "a.json" else "\n".join(map(json.dumps, rows))
    assert not broken(written(tmp_path / name, data))[0]


def test_pandas_split_is_a_table(tmp_path: Path) -> None:
    """Its list of columns is not one of captions."""
    data = {"columns": ["url", "caption"], "data": [[f"http://x/{i}.jpg", text] for i, text in enumerate(TEXTS)]}
    assert read(written(tmp_path / "a.json", json.dumps(data))) == TEXTS


@pytest.mark.parametrize("kind", ["domain", "place"])
def test_a_list_of_pictures_with_one_text_is_not_that_of_the_captions(tmp_path: Path, kind: str) -> None:
    """As in NoCaps: its pictures come first, and have a domain. Karpathy's have sentences."""
    pictures = [{"id": i, "file_name": f"{i}.jpg", kind: "near-domain of things"} for i in range(9)]
    data = {"images": pictures, "annotations": [{"image_id": 0, "caption": text} for text in TEXTS]}
    assert read(written(tmp_path / "a.json", json.dumps(data))) == TEXTS
    _, fault = broken(written(tmp_path / "a.json", json.dumps({"images": pictures})))
    assert kind in fault.fault
    named = {"images": [{"id": i, "caption": text} for i, text in enumerate(TEXTS)]}
    assert read(written(tmp_path / "a.json", json.dumps(named))) == TEXTS


@pytest.mark.parametrize(("who", "asks", "answers"), [("from", "human", "gpt"), ("role", "user", "assistant")])
def test_questions_of_a_conversation_are_no_captions(tmp_path: Path, who: str, asks: str, answers: str) -> None:
    """As in LLaVA's files."""
    what = "value" if who == "from" else "content"
    rows = [
        {"image": "a.jpg", "turns": [{who: asks, what: "What is this?\n<image>"}, {who: answers, what: text}]}
        for text in TEXTS
    ]
    assert read(written(tmp_path / "a.json", json.dumps(rows))) == TEXTS


def test_an_answer_of_a_server_is_no_caption(tmp_path: Path) -> None:
    """What a failed download leaves: a page, an error, a pointer; and files of programs by another name."""
    for name, data in (
        ("a.csv", b"<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head></html>\n"),
        ("a.txt", b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"),
        ("a.json", b'{"error": "Repository not found"}'),
        ("b.csv", b"PK\3\4" + 20 * b"a cat\n"),
        ("b.txt", b"%PDF-1.7\na cat\n"),
        ("c.csv", b"PAR1" + bytes(20)),
    ):
        assert not broken(written(tmp_path / name, data))[0]


def test_files_about_a_data_set_are_not_a_second_format(tmp_path: Path) -> None:
    """Of a folder that Hugging Face's library has saved."""
    written(tmp_path / "a.txt", "a cat\n")
    written(tmp_path / "dataset_info.json", '{"description": "pictures of cats"}')
    written(tmp_path / "state.json", "{}")
    assert read(tmp_path) == ["a cat"]


def _archive(path: Path, members: list[tuple[str, str]]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, text in members:
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


def test_text_members_of_other_kinds_are_no_captions(tmp_path: Path) -> None:
    """Addresses and class numbers; the captions are then in the .json, or nowhere."""
    path = _archive(
        tmp_path / "a.tar",
        [
            one
            for i, text in enumerate(TEXTS)
            for one in ((f"{i}.txt", f"http://x/{i}"), (f"{i}.json", json.dumps({"caption": text})))
        ],
    )
    assert read(path) == TEXTS
    texts, fault = broken(_archive(tmp_path / "b.tar", [(f"{i}.txt", str(i)) for i in range(9)]))
    assert not texts
    assert ".txt holds numbers" in fault.fault
    path = _archive(
        tmp_path / "c.tar",
        [("README.txt", "about it")]
        + [
            one
            for i, text in enumerate(TEXTS)
            for one in ((f"{i}.caption.txt", text), (f"{i}.alt.txt", "x y"), (f"{i}.url.txt", "http://x"))
        ],
    )
    assert read(path) == TEXTS


def test_each_sample_has_its_best_field(tmp_path: Path) -> None:
    """Not the one that the first sample happened to have."""
    rows = [{"title": "t", "url": "u"} if not i else {"title": "t", "caption": text} for i, text in enumerate(TEXTS)]
    path = _archive(tmp_path / "a.tar", [(f"{i}.json", json.dumps(row)) for i, row in enumerate(rows)])
    assert read(path) == ["t", *TEXTS[1:]]
