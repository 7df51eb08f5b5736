"""CSV and TSV: the column is found or chosen, quotes are understood, and no row is misread in silence."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.unit.vectordb.readers.reading import broken, read, written
from vectordb.readers import source_of

CAPTIONS = [f"a photo of thing {i}" for i in range(3000)]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_column_that_holds_no_addresses_is_the_captions(tmp_path: Path, order: tuple[int, int]) -> None:
    """CC3M has the caption first, CC12M has it second, and neither has a header."""
    fields = [(text, f"https://example.org/{i}.jpg") for i, text in enumerate(CAPTIONS)]
    lines = "".join(f"{pair[order[0]]}\t{pair[order[1]]}\n" for pair in fields)
    assert read(written(tmp_path / "a.tsv", lines)) == CAPTIONS
    assert read(written(tmp_path / "unnamed", lines)) == CAPTIONS
    assert read(written(tmp_path / "b.tsv", lines), column=str(order.index(0) + 1)) == CAPTIONS


@pytest.mark.parametrize("column", [None, "caption", "2"])
def test_a_header_names_the_column(tmp_path: Path, column: str | None) -> None:
    """The likeliest name is taken when none is given; a number counts from 1; the header is no caption."""
    path = written(tmp_path / "a.csv", "image_id,caption,title\n1,a cat,x\n2,a dog,y\n")
    assert read(path, column=column) == ["a cat", "a dog"]


def test_any_name_in_the_first_row_is_a_header(tmp_path: Path) -> None:
    """A column may be called anything if it is asked for."""
    assert read(written(tmp_path / "a.csv", "a,b\nx,a cat\n"), column="b") == ["a cat"]


def test_one_column_needs_no_choice(tmp_path: Path) -> None:
    """A CSV of captions alone, with and without a header."""
    assert read(written(tmp_path / "a.csv", "a cat\n\na dog\n")) == ["a cat", "a dog"]
    assert read(written(tmp_path / "b.csv", "text\na cat\n")) == ["a cat"]


def test_quoted_fields_hold_commas_quotes_and_line_breaks(tmp_path: Path) -> None:
    """As RFC 4180 says, with CRLF and a byte order mark, as spreadsheets write it."""
    path = written(tmp_path / "a.csv", '\ufeffid,caption\r\n1,"a ""big"" cat,\r\nasleep"\r\n2,a dog\r\n')
    assert read(path) == ['a "big" cat,\r\nasleep', "a dog"]


def test_a_stray_quote_in_a_tsv_swallows_nothing(tmp_path: Path) -> None:
    """TSV has no quotes; only a field that is quoted as a whole loses them."""
    path = written(
        tmp_path / "a.tsv", 'caption\turl\n"a cat\tu\n5" nails\tu\n"a ""big"" dog"\tu\n"so" he "said"\tu\n'
    )
    assert read(path) == ['"a cat', '5" nails', 'a "big" dog', '"so" he "said"']


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_a_row_of_another_length_is_left_out_and_named(tmp_path: Path, suffix: str) -> None:
    """Fewer or more fields than in the other rows: everything else is given."""
    tab = {"csv": ",", "tsv": "\t"}[suffix]
    lines = "".join(f"http://x{tab}{text}\n" for text in CAPTIONS)
    for row in ["alone", f"one{tab}too{tab}many"]:
        pieces = list(source_of([written(tmp_path / f"a.{suffix}", f"{lines}{row}\n{lines}")]).read())
        assert [text for rows in pieces for text in rows.texts] == [*CAPTIONS, "", *CAPTIONS]
        (left_out,) = [one for rows in pieces for one in rows.skipped.values()]
        assert left_out.reason == "ragged"
        assert "but the other rows have 2 (line 3001)" in left_out.detail


def test_a_quote_that_is_never_closed_costs_its_line(tmp_path: Path) -> None:
    """It does not swallow the rest of the file, at its beginning, or in the middle of quoted rows."""
    quoted = "".join(f'{i},"a fox, number {i}"\n' for i in range(2000))
    path = written(tmp_path / "a.csv", f'id,caption\n{quoted}2,"a dog\n{quoted}')
    pieces = list(source_of([path]).read())
    assert sum(len(rows.texts) for rows in pieces) == 4001
    (left_out,) = [one for rows in pieces for one in rows.skipped.values()]
    assert (left_out.reason, "line 2002" in left_out.detail) == ("open_quote", True)
    begun = read(written(tmp_path / "b.csv", 'id,caption\n1,a cat\n2,"a dog\n' + "3,a fox\n" * 2000))
    assert begun[2:] == ["a fox"] * 2000


def test_a_fault_within_the_first_rows_comes_after_them(tmp_path: Path) -> None:
    """What was looked at in order to find the column is given as well."""
    lines = b"id,caption\n" + b"".join(b"%d,a cat number %d\n" % (i, i) for i in range(20_000))
    texts, fault = broken(written(tmp_path / "a.csv.gz", gzip.compress(lines)[:300]))
    assert texts[0] == "a cat number 0"
    assert "truncated" in fault.fault


@pytest.mark.parametrize(
    ("data", "column", "said"),
    [
        ("id,caption\n1,a cat\n", "text", "no column 'text'.*id, caption"),
        ("id,caption\n1,a cat\n", "3", "no column '3'.*id, caption"),
        ("1,a cat\n", "text", "first row holds: 1, a cat.*column's number"),
        ("a cat,a dog\n", None, "choose one of: 1, 2"),
        ("url,similarity\nhttp://x,1\n", None, "choose one of: url, similarity"),
    ],
)
def test_a_missing_column_is_answered_with_those_there_are(
    tmp_path: Path, data: str, column: str | None, said: str
) -> None:
    """Nobody has to open the file to learn their names."""
    texts, fault = broken(written(tmp_path / "a.csv", data), column=column)
    assert texts == []
    with pytest.raises(type(fault), match=said):
        raise fault


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    """With or without a header."""
    assert read(written(tmp_path / "a.csv", "")) == []
    assert read(written(tmp_path / "b.csv", "id,caption\n")) == []
